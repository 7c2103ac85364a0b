"""Clicks of an exemplar, simulated from masks as DIOS does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from toolkit.clicks import Click
from toolkit.errors import InputError

# For negative clicks: DIOS (Xu et al., 2016, "Deep Interactive Object Selection"), section 3.1.
AROUND, ON_OTHERS, COVERING = "around", "on others", "covering"
STRATEGIES = (AROUND, ON_OTHERS, COVERING)


@dataclass(frozen=True)
class ClickRules:
    """How an exemplar is clicked.

    Attributes:
        most: clicks in all; each exemplar draws its own number from 1 to this (iCMFormer++, section 4.1.2).
        apart: least distance of two clicks, pixels (section 4.3).
        margin: least distance of a click from the object's border, on either side, pixels (section 4.3); a
            thinner object or gap is clicked where it is at least half as deep as anywhere.
        reach: negative clicks of the strategies "around" and "covering" keep this close to the object, pixels
            (d of DIOS).

    Raises:
        InputError: a rule that no click can follow.
    """

    most: int = 20
    apart: float = 40.0
    margin: float = 20.0
    reach: float = 40.0

    def __post_init__(self) -> None:
        if self.most < 1 or min(self.apart, self.margin) < 0 or self.reach <= self.margin:
            raise InputError(
                f"rules of clicks: expected at least 1 click (got {self.most}), no negative distance (got "
                f"{self.apart:g} and {self.margin:g}), and a reach above the margin (got {self.reach:g})"
            )


def sample_exemplar_clicks(
    mask: np.ndarray, others: Sequence[np.ndarray], rules: ClickRules, rng: np.random.Generator
) -> list[Click]:
    """Draw the clicks with which a user may have segmented an object.

    Their number is even in 1 … ``rules.most``, the share of positive ones even too, and at least one is.
    Fewer come where clicks would get too close to each other.

    Args:
        mask: bool [H, W] of the object.
        others: masks of the other objects of the photo; only one strategy looks at them.
        rules: distances.
        rng: the source of chance.

    Returns:
        Clicks on pixel centres, the positive ones first.

    Raises:
        InputError: the mask is empty.
    """
    if not mask.any():
        raise InputError("the mask is empty: there is nowhere to click")
    total = int(rng.integers(1, rules.most + 1))
    positive = int(rng.integers(1, total + 1))
    inside = deep_pixels(mask, rules.margin)
    places = spread_pixels(inside, positive, rules.apart, rng)
    clicks = [Click(column + 0.5, row + 0.5) for row, column in places]
    strategy = STRATEGIES[int(rng.integers(len(STRATEGIES)))]
    found = _negative_pixels(mask, others, total - positive, strategy, rules, rng)
    return clicks + [Click(column + 0.5, row + 0.5, positive=False) for row, column in found]


def _negative_pixels(
    mask: np.ndarray,
    others: Sequence[np.ndarray],
    count: int,
    strategy: str,
    rules: ClickRules,
    rng: np.random.Generator,
) -> list[tuple[int, int]]:
    if count == 0 or mask.all():
        return []
    if strategy == ON_OTHERS:
        free = [other & ~mask for other in others]
        deep = [deep_pixels(other, rules.margin) for other in free if other.any()]
        return spread_pixels(np.logical_or.reduce(deep), count, rules.apart, rng) if deep else []
    band = ring_around(mask, rules.margin, rules.reach)
    if strategy == COVERING:
        return covering_pixels(band, count, rules.apart, rng)
    return spread_pixels(band, count, rules.apart, rng)


def deep_pixels(mask: np.ndarray, margin: float) -> np.ndarray:
    """Return the pixels more than ``margin`` inside a mask; of a thin one, its deeper half.

    Args:
        mask: bool [H, W], not empty. Beyond the photo nothing belongs to it.
        margin: pixels.

    Returns:
        bool [H, W], not empty.
    """
    padded = np.pad(mask, 1).astype(np.uint8)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    deep = depth > margin
    return deep if deep.any() else depth >= depth.max() / 2


def ring_around(mask: np.ndarray, margin: float, reach: float) -> np.ndarray:
    """Return the pixels off a mask at a distance above ``margin`` and up to ``reach``.

    Where the photo leaves no such pixel, those off the mask at least half as far from it as any.

    Args:
        mask: bool [H, W], neither empty nor the whole photo.
        margin: pixels.
        reach: pixels.

    Returns:
        bool [H, W], not empty.
    """
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    band = (away > margin) & (away <= reach)
    return band if band.any() else away >= away.max() / 2


def spread_pixels(
    allowed: np.ndarray, count: int, apart: float, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Draw pixels evenly, one after another, each at least ``apart`` from those before.

    Args:
        allowed: bool [H, W].
        count: of pixels; fewer come where there is no room.
        apart: pixels.
        rng: the source of chance.

    Returns:
        (row, column) each.
    """
    rows, columns = np.nonzero(allowed)
    chosen: list[tuple[int, int]] = []
    while len(chosen) < count and len(rows):
        place = int(rng.integers(len(rows)))
        row, column = int(rows[place]), int(columns[place])
        chosen.append((row, column))
        far = (rows - row) ** 2 + (columns - column) ** 2 >= max(apart, 1.0) ** 2
        rows, columns = rows[far], columns[far]
    return chosen


def covering_pixels(
    allowed: np.ndarray, count: int, apart: float, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Draw one pixel, then each time the one farthest from those before (DIOS, strategy 3).

    Args:
        allowed: bool [H, W].
        count: of pixels; fewer come once the farthest is closer than ``apart``.
        apart: pixels.
        rng: the source of chance.

    Returns:
        (row, column) each; of equally far ones the first in raster order.
    """
    rows, columns = np.nonzero(allowed)
    if not len(rows) or count < 1:
        return []
    place = int(rng.integers(len(rows)))
    chosen = [(int(rows[place]), int(columns[place]))]
    squared = (rows - rows[place]) ** 2 + (columns - columns[place]) ** 2
    while len(chosen) < count:
        place = int(squared.argmax())
        if squared[place] < max(apart, 1.0) ** 2:
            break
        chosen.append((int(rows[place]), int(columns[place])))
        squared = np.minimum(squared, (rows - rows[place]) ** 2 + (columns - columns[place]) ** 2)
    return chosen
