"""Where on a photo a network looks: the whole of it, then a crop around the last mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from toolkit.clicks import Click

# RITM's zoom-in (Sofiiuk et al., 2022, section 3.5 and released code), after f-BRS.
EXPANSION = 1.4
LEAST_SIDE = 200
# A new crop replaces the one before when their boxes overlap less than that.
KEPT_IOU = 0.5


@dataclass(frozen=True)
class Crop:
    """A part of a photo: pixels from ``top`` and ``left`` on."""

    top: int
    left: int
    height: int
    width: int

    def holds(self, click: Click) -> bool:
        """Whether a click lies in it."""
        inside_rows = self.top <= click.y < self.top + self.height
        return inside_rows and self.left <= click.x < self.left + self.width

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The part of an array ``[H, W, …]``, as a view."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]

    def iou(self, other: Crop) -> float:
        """Intersection over union with another."""
        rows = min(self.top + self.height, other.top + other.height) - max(self.top, other.top)
        columns = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        shared = max(rows, 0) * max(columns, 0)
        return shared / (self.height * self.width + other.height * other.width - shared)


def zoomed_crop(
    box: tuple[float, float, float, float] | None,
    clicks: Sequence[Click],
    height: int,
    width: int,
    expansion: float = EXPANSION,
    least: int = LEAST_SIDE,
) -> Crop:
    """The crop around a mask and the positive clicks.

    Args:
        box: (x0, y0, x1, y1) of the mask, ends exclusive; None of an empty one.
        clicks: Made so far.
        height: Of the photo, pixels.
        width: Of the photo, pixels.
        expansion: The box grows by this factor around its centre.
        least: And to sides of at least so many pixels, where the photo has them.

    Returns:
        The crop; the whole photo without a mask.
    """
    if box is None:
        return Crop(0, 0, height, width)
    own = [click for click in clicks if click.positive]
    x0, x1 = min([box[0], *(c.column for c in own)]), max([box[2], *(c.column + 1 for c in own)])
    y0, y1 = min([box[1], *(c.row for c in own)]), max([box[3], *(c.row + 1 for c in own)])
    top, bottom = _grown(y0, y1, expansion, least, height)
    left, right = _grown(x0, x1, expansion, least, width)
    return Crop(top, left, bottom - top, right - left)


def next_crop(last: Crop, proposed: Crop, clicks: Sequence[Click]) -> Crop:
    """The crop of the click before while it still fits; else the proposed one.

    Source: RITM's released zoom-in: the crop stays while it holds the positive clicks and the two overlap.
    """
    fits = all(last.holds(click) for click in clicks if click.positive)
    return last if fits and last.iou(proposed) >= KEPT_IOU else proposed


def _grown(start: float, end: float, expansion: float, least: int, length: int) -> tuple[int, int]:
    """One axis: the expanded interval, clipped to 0…length."""
    center, side = (start + end) / 2, max((end - start) * expansion, least)
    return max(math.floor(center - side / 2), 0), min(math.ceil(center + side / 2), length)


def input_shape(crop: Crop, longer: int, square: bool, enlarge: bool) -> tuple[int, int]:
    """Height and width to which a crop is brought.

    Args:
        crop: Of the photo.
        longer: Longer side wanted, pixels.
        square: Both sides become that.
        enlarge: Whether a smaller crop grows to it.
    """
    if square:
        return longer, longer
    scale = longer / max(crop.height, crop.width)
    if scale > 1 and not enlarge:
        scale = 1.0
    return max(round(crop.height * scale), 1), max(round(crop.width * scale), 1)


def resample(values: np.ndarray, source: Crop, target: Crop, shape: tuple[int, int]) -> np.ndarray:
    """What is known in one crop, as another crop sees it; 0 outside of the first.

    Args:
        values: float32 ``[h, w]``, covering ``source``.
        source: Where they lie.
        target: Where they are wanted.
        shape: Height and width of the result.

    Returns:
        float32, bilinear, pixel centres on pixel centres.
    """
    if source == target and values.shape == shape:
        return values
    rows, columns = values.shape
    # centre of target pixel j: photo x = left + (j + ½) · step; source pixel i: x = left + (i + ½) · step
    step_x, step_y = target.width / shape[1], target.height / shape[0]
    scale_x, scale_y = columns / source.width, rows / source.height
    shift_x = (target.left - source.left + 0.5 * step_x) * scale_x - 0.5
    shift_y = (target.top - source.top + 0.5 * step_y) * scale_y - 0.5
    matrix = np.array([[step_x * scale_x, 0, shift_x], [0, step_y * scale_y, shift_y]])
    return cv2.warpAffine(
        values, matrix, (shape[1], shape[0]), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=0.0
    )


def scaled_clicks(clicks: Sequence[Click], crop: Crop, shape: tuple[int, int]) -> np.ndarray:
    """Clicks of a photo as a network's points.

    Returns:
        float32 ``[P, 3]``: x and y in pixels of the input, 1 or 0 for positive or not.
    """
    scale_x, scale_y = shape[1] / crop.width, shape[0] / crop.height
    rows = [((c.x - crop.left) * scale_x, (c.y - crop.top) * scale_y, float(c.positive)) for c in clicks]
    return np.array(rows, np.float32).reshape(-1, 3)
