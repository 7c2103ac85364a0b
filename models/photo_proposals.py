"""What a photo's views, and crops of it, propose for clicks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.placed_object import PlacedObject
from models.recently_used import RecentlyUsed
from models.sampling import measure
from models.view import PhotoView, SelectionModels
from models.zoom_in import LARGEST_SCALE, closer_proposals, smallest_side
from toolkit.clicks import Click
from toolkit.errors import InputError

MOST_PROPOSED = 24  # clicks whose proposals are remembered: more than one object takes

Point = tuple[float, float]


class PhotoProposals:
    """Proposals for groups of clicks; each group means one object.

    Threads may share one.

    Args:
        models: The networks.
        views: Copies of the photo.
        size: Height and width of the photo, pixels.
        photo: uint8 ``[H, W, 3]`` RGB; None for no crops.
    """

    def __init__(
        self,
        models: SelectionModels,
        views: Sequence[PhotoView],
        size: tuple[int, int],
        photo: np.ndarray | None,
    ) -> None:
        self._models, self._views, self._photo = models, tuple(views), photo
        self._height, self._width = size
        # so that one more click on an object does not ask about the clicks before it again
        self._known: RecentlyUsed[tuple[Point, ...], list[PlacedObject]] = RecentlyUsed(MOST_PROPOSED)

    @property
    def nbytes(self) -> int:
        """Memory that remembered proposals hold, in bytes."""
        return sum(item.found.logits.nbytes for items in self._known.values() for item in items)

    def point(self, click: Click, view: PhotoView) -> Point:
        """A click as (x, y) in pixels of a view.

        Raises:
            InputError: It lies outside the photo.
        """
        if not (0 <= click.x < self._width and 0 <= click.y < self._height):
            raise InputError(
                f"click {click.x:g},{click.y:g} lies outside the photo; "
                f"it is {self._width} × {self._height} pixels, x comes first"
            )
        return click.x * view.scale, click.y * view.scale

    def remembered(self, groups: Sequence[Sequence[Click]]) -> list[list[PlacedObject]]:
        """As :meth:`of`; what was proposed for a group before is not asked for again."""
        keys = [tuple(points_of(group)) for group in groups]
        answers = {key: self._known.get(key) for key in keys}
        fresh = {key: group for key, group in zip(keys, groups, strict=True) if answers[key] is None}
        for key, items in zip(fresh, self.of(list(fresh.values())), strict=True):
            self._known.keep(key, items)
            answers[key] = items
        return [answers[key] or [] for key in keys]

    def of(self, groups: Sequence[Sequence[Click]]) -> list[list[PlacedObject]]:
        """For each group all that the views propose, and for a single click on something small a crop."""
        proposals = self.of_views(groups)
        single = [index for index, group in enumerate(groups) if len(group) == 1]
        if self._photo is None or not self._models.config.zoom_in or not single:
            return proposals
        sides = [smallest_side(proposals[index]) for index in single]
        closer = self.closer([groups[index][0] for index in single], sides)
        for index, items in zip(single, closer, strict=True):
            proposals[index] = [*proposals[index], *items]
        return proposals

    def of_views(self, groups: Sequence[Sequence[Click]]) -> list[list[PlacedObject]]:
        """For each group all that the views propose."""
        per_view = self._models.finder.candidates_in(
            [
                (view.encoded, [[self.point(c, view) for c in group] for group in groups])
                for view in self._views
            ]
        )
        proposals = [
            [
                PlacedObject(item, view.scale)
                for view, items in zip(self._views, own, strict=True)
                for item in items
            ]
            for own in zip(*per_view, strict=True)
        ]
        measure([item for own in proposals for item in own])
        return proposals

    def closer(
        self, clicks: Sequence[Click], sides: Sequence[float], largest: float = LARGEST_SCALE
    ) -> list[list[PlacedObject]]:
        """What crops propose for clicks on objects of some sides (pixels), where those are small."""
        if self._photo is None:
            return [[] for _ in clicks]
        finest = max(view.scale for view in self._views)
        return closer_proposals(self._models.finder, self._photo, points_of(clicks), sides, finest, largest)


def points_of(clicks: Sequence[Click]) -> list[Point]:
    """(x, y) of clicks, pixels of the photo."""
    return [(click.x, click.y) for click in clicks]
