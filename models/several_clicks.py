"""One object from several clicks: it grows where positive clicks miss it, and loses what negative ones hit.

Each further click corrects the answer to those before it, and only around itself: the networks' proposals for
a click near an object's border often are its surroundings, which would swallow the object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.agreement import agreed
from models.one_click.dynamic_masks import MASK_STRIDE
from models.one_click.found_object import CELL_PLACE, FoundObject
from models.placed_object import OUTSIDE, PlacedObject

Point = tuple[float, float]

# A click outside the mask adds nothing farther from it than so many times its distance to the mask.
REACH = 1.5
# Proposals that hold a negative click answer only where all others have less than this part of the best vote.
LEAST_VOTE = 0.1


@dataclass(frozen=True)
class ClickProposals:
    """A click and what the networks propose for it.

    Attributes:
        point: (x, y) in pixels of the photo.
        positive: Whether the object must hold it.
        proposals: What it may mean, clicked alone; for a negative click, what it may mean that holds no
            positive one.
    """

    point: Point
    positive: bool
    proposals: Sequence[PlacedObject]


def object_of_clicks(
    clicks: Sequence[ClickProposals],
    joint: Sequence[PlacedObject] = (),
    choose: Callable[[Sequence[PlacedObject]], PlacedObject | None] = agreed,
    refine: Callable[[PlacedObject], PlacedObject] = lambda item: item,
) -> PlacedObject | None:
    """The object of some clicks, in their order; None where nothing is found or nothing of it is left.

    Args:
        clicks: At least one positive.
        joint: What all positive clicks together may mean.
        choose: Says which proposal the first click means.
        refine: Mends the mask of the first click, which the others then correct.
    """
    held = [click.point for click in clicks if click.positive]
    avoid = [click.point for click in clicks if not click.positive]
    first = next((n for n, click in enumerate(clicks) if click.positive and click.proposals), None)
    if first is None:
        return None
    answer = choose(_likely(clicks[first].proposals, avoid))
    current = None if answer is None else refine(answer)
    for click in [*clicks[:first], *clicks[first + 1 :], *(c for c in clicks if not c.positive)]:
        if current is None or current.holds(*click.point) == click.positive:
            continue
        current = _grown(current, click, joint) if click.positive else _without(current, click, held)
    return current


def _likely(proposals: Sequence[PlacedObject], avoid: Sequence[Point]) -> Sequence[PlacedObject]:
    """Those that hold no negative click if any of them is likely enough."""
    free = [item for item in proposals if not any(item.holds(*point) for point in avoid)]
    best = max(item.vote for item in proposals)
    return free if free and max(item.vote for item in free) >= LEAST_VOTE * best else proposals


def _grown(current: PlacedObject, click: ClickProposals, joint: Sequence[PlacedObject]) -> PlacedObject:
    """The object and what is proposed under a click outside of it, as far as that lies around the click."""
    pieces = [*click.proposals, *(item for item in joint if item.holds(*click.point))]
    piece = agreed(pieces)
    if piece is None:
        return current
    return union(current, piece, click.point, REACH * distance_to(current, click.point))


def _without(current: PlacedObject, click: ClickProposals, held: Sequence[Point]) -> PlacedObject | None:
    """The object without the one under a negative click; where that does not do, without the click's part.

    That part is what lies nearer to the click than to any positive one, and no farther from the click than
    the nearest positive one does.
    """
    found = current.found
    theirs = agreed(click.proposals)
    if theirs is not None:
        values = theirs.on_cells(current.scale, found.top, found.left, found.logits.shape)
        found = replace(found, logits=np.minimum(found.logits, -values))
    if PlacedObject(found, current.scale).holds(*click.point):
        own = _distances(found, current.scale, click.point)
        nearest = np.min([_distances(found, current.scale, point) for point in held], axis=0)
        reach = min(np.hypot(click.point[0] - x, click.point[1] - y) for x, y in held)
        # at least the cells whose values are read at the click
        part = ((own <= nearest) & (own <= reach)) | (own <= 1.5 * MASK_STRIDE / current.scale)
        found = replace(found, logits=np.where(part, OUTSIDE, found.logits).astype(np.float32))
    return PlacedObject(found, current.scale) if (found.logits > 0).any() else None


def distance_to(item: PlacedObject, point: Point) -> float:
    """Pixels of the photo from a point to the nearest cell of a mask."""
    distances = _distances(item.found, item.scale, point)
    return float(distances[item.found.logits > 0].min())


def union(a: PlacedObject, b: PlacedObject, around: Point, reach: float) -> PlacedObject:
    """An object and the part of another within ``reach`` pixels of a point of the photo.

    It lies on the finer one of their lattices, and has the score of the first.
    """
    scale = max(a.scale, b.scale)
    windows = [item.window(scale) for item in (a, b)]
    top, left = min(w[0] for w in windows), min(w[1] for w in windows)
    bottom, right = max(w[2] for w in windows), max(w[3] for w in windows)
    own, other = (item.on_cells(scale, top, left, (bottom - top, right - left)) for item in (a, b))
    clicks = [
        (x * scale / item.scale, y * scale / item.scale) for item in (a, b) for x, y in item.found.clicks
    ]
    whole = FoundObject(own, top, left, a.found.score, tuple(clicks), a.found.quality)
    other = np.where(_distances(whole, scale, around) <= reach, other, np.float32(OUTSIDE))
    return PlacedObject(replace(whole, logits=np.maximum(own, other)), scale)


def _distances(found: FoundObject, scale: float, point: Point) -> np.ndarray:
    """Pixels of the photo from a point to the place of each cell's value, ``[h, w]``."""
    height, width = found.logits.shape
    x = ((np.arange(width) + found.left) * MASK_STRIDE + CELL_PLACE) / scale
    y = ((np.arange(height) + found.top) * MASK_STRIDE + CELL_PLACE) / scale
    return np.hypot(x[None] - point[0], y[:, None] - point[1])
