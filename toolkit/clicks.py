"""Clicks: the type, the rule that places the next one, samplers for training, and maps that networks read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from toolkit.errors import InputError

# RITM (Sofiiuk et al., 2022, "Reviving Iterative Training with Mask Guidance"), and iCMFormer after it.
DISK_RADIUS = 5.0
# Multi-stage fusion ("Gaussian with a standard deviation of 10 pixels").
GAUSSIAN_SIGMA = 10.0
# Multi-stage fusion: the centre of mass moves by U(-50, 50) pixels.
CENTER_JITTER = 50.0
# SimpSON, section 5.1: "For each instance, we randomly sampled 1-5 clicks".
MOST_CENTER_CLICKS = 5
# "Around the center of the objects" (SimpSON): where the distance to the border is at least half of its peak,
# the bound that RITM uses for its training clicks.
CENTER_SHARE = 0.5


@dataclass(frozen=True)
class Click:
    """A click on a photo.

    Attributes:
        x: pixels from the left edge of the original photo; pixel column c covers [c, c + 1).
        y: pixels from the top edge; pixel row r covers [r, r + 1).
        positive: on the object, rather than on what must not be selected.
    """

    x: float
    y: float
    positive: bool = True

    @property
    def row(self) -> int:
        """The pixel row that was clicked."""
        return math.floor(self.y)

    @property
    def column(self) -> int:
        """The pixel column that was clicked."""
        return math.floor(self.x)

    def inside(self, height: int, width: int) -> bool:
        """Whether the click lies on a photo of this size."""
        return 0 <= self.x < width and 0 <= self.y < height


def next_click(
    truth: np.ndarray,
    prediction: np.ndarray,
    previous: Sequence[Click] = (),
    positive_only: bool = False,
    ignore: np.ndarray | None = None,
) -> Click | None:
    """Place the next click where the prediction is most wrong, as the protocol of RITM does.

    Missed and wrongly selected pixels each get their distance to the nearest other pixel, with the outside of
    the photo counting as such; pixels clicked before drop out. The click goes to the higher peak: positive if
    that of the missed pixels is strictly higher, and to the first in raster order where several are equal.

    Args:
        truth: bool [H, W].
        prediction: bool [H, W].
        previous: clicks placed before.
        positive_only: look at missed pixels only (SimpSON, section 5.2).
        ignore: bool [H, W], pixels that count neither as missed nor as wrong (label -1 of the benchmarks).

    Returns:
        A click on the centre of a pixel, or None when no wrong pixel is left to click.

    Raises:
        InputError: the masks differ in size.
    """
    if truth.shape != prediction.shape or (ignore is not None and ignore.shape != truth.shape):
        raise InputError(f"truth {truth.shape} and prediction {prediction.shape} must have one size [H, W]")
    truth, prediction = truth.astype(bool, copy=False), prediction.astype(bool, copy=False)
    counted = True if ignore is None else ~ignore.astype(bool, copy=False)
    missed = _peak(truth & ~prediction & counted, previous)
    wrong = _Peak(0.0, 0, 0) if positive_only else _peak(prediction & ~truth & counted, previous)
    peak = missed if missed.height > wrong.height else wrong
    if peak.height == 0:
        return None
    return Click(peak.column + 0.5, peak.row + 0.5, positive=peak is missed)


def center_click(mask: np.ndarray) -> Click:
    """Return the click on the pixel deepest inside a mask [H, W]: the first peak of its distance transform.

    Raises:
        InputError: the mask is empty.
    """
    peak = _peak(_not_empty(mask), ())
    return Click(peak.column + 0.5, peak.row + 0.5)


def sample_center_clicks(mask: np.ndarray, rng: np.random.Generator, count: int | None = None) -> list[Click]:
    """Draw clicks near the middle of a mask, as 1C-DSN is trained with (SimpSON, section 5.1).

    Pixels are drawn evenly, and without repetition while there are enough, where the distance to the border
    is at least half of its peak.

    Args:
        mask: bool [H, W].
        rng: the source of chance.
        count: how many clicks; None draws 1 to 5.

    Returns:
        Clicks on pixel centres.

    Raises:
        InputError: the mask is empty, or `count` is negative.
    """
    if count is None:
        count = int(rng.integers(1, MOST_CENTER_CLICKS + 1))
    elif count < 0:
        raise InputError(f"count is a number of clicks, 0 or more, not {count}")
    distance, top, left = _distance(_not_empty(mask))
    rows, columns = np.nonzero(distance >= CENTER_SHARE * distance.max())
    chosen = rng.choice(len(rows), size=count, replace=count > len(rows))
    return [Click(left + float(columns[i]) + 0.5, top + float(rows[i]) + 0.5) for i in chosen]


def sample_jittered_center_of_mass(
    mask: np.ndarray, rng: np.random.Generator, jitter: float = CENTER_JITTER
) -> Click:
    """Draw a click around the centre of mass of a mask, as multi-stage fusion is trained with (section 3.4).

    Args:
        mask: bool [H, W].
        rng: the source of chance.
        jitter: x and y each move by up to this many pixels, evenly; a click that leaves the mask goes to the
            centre of the nearest pixel in it.

    Raises:
        InputError: the mask is empty.
    """
    rows, columns = np.nonzero(_not_empty(mask))
    x, y = np.array([columns.mean(), rows.mean()]) + 0.5 + rng.uniform(-jitter, jitter, 2)
    click = Click(float(x), float(y))
    if click.inside(*mask.shape) and mask[click.row, click.column]:
        return click
    nearest = int(np.argmin((columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2))
    return Click(float(columns[nearest]) + 0.5, float(rows[nearest]) + 0.5)


def binary_map(clicks: Sequence[Click], height: int, width: int, stride: int = 1) -> np.ndarray:
    """Set one cell per click (the click map of SimpSON), whether it is positive or not.

    Args:
        clicks: in pixels of the photo.
        height: of the map, in cells.
        width: of the map, in cells.
        stride: pixels per cell.

    Returns:
        float32 [height, width] of 0 and 1.

    Raises:
        InputError: a click lies outside the map.
    """
    cells = np.zeros((height, width), dtype=np.float32)
    for click in clicks:
        if not click.inside(height * stride, width * stride):
            raise InputError(f"click {click.x:g},{click.y:g} lies outside the map")
        cells[int(click.y // stride), int(click.x // stride)] = 1
    return cells


def disk_map(
    clicks: Sequence[Click], height: int, width: int, stride: int = 1, radius: float = DISK_RADIUS
) -> np.ndarray:
    """Draw a disk around each click: cells whose centre is at most `radius` away, as RITM does.

    Args:
        clicks: in pixels of the photo; they may lie outside the map.
        height: of the map, in cells.
        width: of the map, in cells.
        stride: pixels per cell.
        radius: in pixels of the photo; a click on a pixel centre gives the disk of RITM, 81 pixels for 5.

    Returns:
        float32 [height, width] of 0 and 1.
    """
    cells = np.zeros((height, width), dtype=np.float32)
    for click in clicks:
        rows, columns, squared = _around(click, radius, height, width, stride)
        cells[rows, columns][squared <= radius**2] = 1
    return cells


def gaussian_map(
    clicks: Sequence[Click], height: int, width: int, stride: int = 1, sigma: float = GAUSSIAN_SIGMA
) -> np.ndarray:
    """Draw a Gaussian of peak 1 around each click, merged by maximum (multi-stage fusion, section 3.3).

    Args:
        clicks: in pixels of the photo; they may lie outside the map.
        height: of the map, in cells.
        width: of the map, in cells.
        stride: pixels per cell.
        sigma: standard deviation, in pixels of the photo.

    Returns:
        float32 [height, width], 0 to 1, measured at the centres of the cells.
    """
    cells = np.zeros((height, width), dtype=np.float32)
    for click in clicks:
        # Beyond 6 standard deviations the value is below 2e-8, a quarter of what float32 resolves next to 1.
        rows, columns, squared = _around(click, 6 * sigma, height, width, stride)
        np.maximum(cells[rows, columns], np.exp(squared / (-2 * sigma**2)), out=cells[rows, columns])
    return cells


@dataclass(frozen=True)
class _Peak:
    """The highest value of a distance map and its first place in raster order."""

    height: float
    row: int
    column: int


def _peak(region: np.ndarray, clicked: Sequence[Click]) -> _Peak:
    """Find the pixel of a region [H, W] that lies deepest inside, leaving out the pixels clicked before."""
    if not region.any():
        return _Peak(0.0, 0, 0)
    distance, top, left = _distance(region)
    height, width = distance.shape
    for click in clicked:
        if 0 <= click.row - top < height and 0 <= click.column - left < width:
            distance[click.row - top, click.column - left] = 0
    row, column = divmod(int(distance.argmax()), width)
    return _Peak(float(distance[row, column]), row + top, column + left)


def _distance(region: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Return the exact Euclidean distance of each pixel of a region to the nearest pixel outside of it.

    Only the box around the region is computed: beyond it, and beyond the photo, nothing is in the region.

    Args:
        region: bool [H, W], not empty.

    Returns:
        (float32 [h, w] of the box, the box's first row, its first column).
    """
    binary = np.ascontiguousarray(region).view(np.uint8)
    left, top, width, height = cv2.boundingRect(binary)
    padded = np.pad(binary[top : top + height, left : left + width], 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance[1:-1, 1:-1], top, left


def _around(
    click: Click, reach: float, height: int, width: int, stride: int
) -> tuple[slice, slice, np.ndarray]:
    """Return the rows and columns of cells within reach of a click, and their squared distances in pixels."""
    spans = []
    for position, cells in ((click.y, height), (click.x, width)):
        first = min(max(math.floor((position - reach) / stride), 0), cells)
        spans.append(slice(first, max(min(math.ceil((position + reach) / stride), cells), first)))
    away_y, away_x = (
        (np.arange(span.start, span.stop) + 0.5) * stride - position
        for span, position in zip(spans, (click.y, click.x), strict=True)
    )
    return spans[0], spans[1], away_y[:, None] ** 2 + away_x[None] ** 2


def _not_empty(mask: np.ndarray) -> np.ndarray:
    """Return a mask as bool, refusing an empty one."""
    mask = mask.astype(bool, copy=False)
    if not mask.any():
        raise InputError("the mask is empty: there is nowhere to click")
    return mask
