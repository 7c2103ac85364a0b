"""A found object in its photo, whatever copy of the photo showed it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from models.one_click.dynamic_masks import MASK_STRIDE
from models.one_click.found_object import CELL_PLACE, FoundObject

# A proposal's vote is (score · sureness) to this power: what chose best on 60 photos of photos/val.
VOTE_POWER = 4
# People click the middle of what they mean. This power of the click's depth chose better both for clicks in
# the very middle and for clicks anywhere in the inner half.
DEPTH_POWER = 2
SAMPLES = 32  # per side of a mask's box: where two masks are compared
OUTSIDE = -10.0  # logit beyond the window of a mask


@dataclass(frozen=True, eq=False)
class PlacedObject:
    """A found object and where it lies in the photo.

    Attributes:
        found: In pixels of a copy of the photo.
        scale: Of that copy: its pixels per pixel of the photo.
    """

    found: FoundObject
    scale: float

    @property
    def vote(self) -> float:
        """The weight of its claim to be what was clicked, 0–1."""
        return self.claim * self.depth**DEPTH_POWER

    @property
    def claim(self) -> float:
        """The same wherever in it the click lies."""
        return (self.found.score * self.found.sureness) ** VOTE_POWER

    @cached_property
    def depth(self) -> float:
        """How deep in the mask its click lies: its distance to the border over the largest, above 0 to 1.

        1 for several clicks, of which only one can lie in the middle; the mask must not be empty.
        """
        if len(self.found.clicks) != 1:
            return 1.0
        (x1, y1, _, _), step, (rows, columns) = self.box, self.depth_step, self.depth_shape
        inside = np.zeros((rows + 2, columns + 2), np.uint8)  # beyond its box nothing is
        inside[1:-1, 1:-1] = self.values(x1 + step / 2, y1 + step / 2, (step, step), (rows, columns)) > 0
        return self.depth_at(cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_5))

    @property
    def depth_step(self) -> float:
        """Pixels of the photo between the points at which the depth is measured."""
        return self.side / SAMPLES

    @property
    def depth_shape(self) -> tuple[int, int]:
        """Rows and columns of these points over its box: `SAMPLES`, or by rounding one more, on its side."""
        x1, y1, x2, y2 = self.box
        step = self.depth_step
        return math.ceil((y2 - y1) / step), math.ceil((x2 - x1) / step)

    def depth_at(self, distance: np.ndarray) -> float:
        """The depth, by these points' distances to the border; around them lies a border of one point."""
        if len(self.found.clicks) != 1:
            return 1.0
        (x1, y1, _, _), step, (rows, columns) = self.box, self.depth_step, self.depth_shape
        x, y = (place / self.scale for place in self.found.clicks[0])
        row, column = int((y - y1) // step), int((x - x1) // step)
        within = 0 <= row < rows and 0 <= column < columns
        own = distance[row + 1, column + 1] if within else 0.0
        # a click on the border itself may fall beside the lattice's points in the mask
        return float(max(own, 1.0) / max(distance.max(), 1.0))

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """(x1, y1, x2, y2) in pixels of the photo; the mask must not be empty."""
        x1, y1, x2, y2 = self.found.box
        return x1 / self.scale, y1 / self.scale, x2 / self.scale, y2 / self.scale

    @cached_property
    def own_samples(self) -> np.ndarray:
        """Its mask on a lattice over its box, bool ``[SAMPLES, SAMPLES]``."""
        return self.samples(self.box)

    @cached_property
    def area(self) -> float:
        """Square pixels of the photo."""
        x1, y1, x2, y2 = self.box
        return _share_of(self.own_samples) * (x2 - x1) * (y2 - y1)

    def samples(self, box: tuple[float, float, float, float]) -> np.ndarray:
        """The mask on a lattice over a box of the photo, bool ``[SAMPLES, SAMPLES]``."""
        x1, y1, x2, y2 = box
        steps = (x2 - x1) / SAMPLES, (y2 - y1) / SAMPLES
        return self.values(x1 + steps[0] / 2, y1 + steps[1] / 2, steps, (SAMPLES, SAMPLES)) > 0

    def values(self, x: float, y: float, steps: tuple[float, float], shape: tuple[int, int]) -> np.ndarray:
        """Logits, bilinear, on a lattice of the photo; `OUTSIDE` beyond the window.

        Args:
            x: Of the lattice's first point, pixels of the photo.
            y: The same.
            steps: From one point to the next in x and y, pixels of the photo.
            shape: (rows, columns) of the lattice.
        """
        found, unit = self.found, self.scale / MASK_STRIDE  # cells per pixel
        place = CELL_PLACE / MASK_STRIDE  # of a value in its cell
        column, row = x * unit - found.left, y * unit - found.top
        width, height = steps[0] * unit, steps[1] * unit
        values = cv2.warpAffine(
            found.logits,
            np.array([[width, 0, column - place], [0, height, row - place]]),
            (shape[1], shape[0]),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        first, last = _points_within(row, height, found.logits.shape[0])
        values[:first], values[last:] = OUTSIDE, OUTSIDE
        first, last = _points_within(column, width, found.logits.shape[1])
        values[:, :first], values[:, last:] = OUTSIDE, OUTSIDE
        return values

    @property
    def side(self) -> float:
        """The larger side of its box, pixels of the photo."""
        x1, y1, x2, y2 = self.box
        return max(x2 - x1, y2 - y1)

    def at_scale(self, scale: float) -> PlacedObject:
        """The same object on the cells of another copy of the photo."""
        if scale == self.scale:
            return self
        found, factor = self.found, scale / self.scale
        top, left, bottom, right = self.window(scale)
        top, left = max(top - 1, 0), max(left - 1, 0)  # no cell lies beyond the photo's first ones
        logits = self.on_cells(scale, top, left, (bottom + 1 - top, right + 1 - left))
        if not (logits > 0).any():  # smaller than a cell: the one in its middle stands for it
            x1, y1, x2, y2 = self.box
            step = MASK_STRIDE / scale  # pixels of the photo per cell
            row, column = (int((low + high) / 2 / step) for low, high in ((y1, y2), (x1, x2)))
            logits[row - top, column - left] = found.logits.max()
        clicks = tuple((x * factor, y * factor) for x, y in found.clicks)
        return PlacedObject(replace(found, logits=logits, top=top, left=left, clicks=clicks), scale)

    def window(self, scale: float) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) of its window in cells of another copy of the photo."""
        factor = scale / self.scale
        height, width = self.found.logits.shape
        top, left = self.found.top * factor, self.found.left * factor
        return (
            int(np.floor(top)),
            int(np.floor(left)),
            int(np.ceil(top + height * factor)),
            int(np.ceil(left + width * factor)),
        )

    def on_cells(self, scale: float, top: int, left: int, shape: tuple[int, ...]) -> np.ndarray:
        """Its logits at the places of another copy's cells from (top, left) on, ``[rows, columns]``."""
        step = MASK_STRIDE / scale  # pixels of the photo per cell
        x, y = (left * MASK_STRIDE + CELL_PLACE) / scale, (top * MASK_STRIDE + CELL_PLACE) / scale
        return self.values(x, y, (step, step), (shape[0], shape[1]))

    def holds(self, x: float, y: float) -> bool:
        """Whether the mask holds a point of the photo, pixels."""
        return self.found.value_at(x * self.scale, y * self.scale) > 0


def _share_of(samples: np.ndarray) -> float:
    """The part of some samples that is True; several times as fast as their mean."""
    return float(np.count_nonzero(samples)) / samples.size


def _points_within(start: float, step: float, cells: int) -> tuple[int, int]:
    """The first point ``start + i · step`` at 0 or above, and the first one at ``cells`` or above."""
    return max(math.ceil(-start / step), 0), max(math.ceil((cells - start) / step), 0)
