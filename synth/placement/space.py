"""The free space of a region and its deepest point, found without a distance map of every pixel.

The distance transform of a grid of cells brackets that of the pixels: a cell counts as clear when all its
pixels are free, and a pixel's distance differs from its cell's by at most (stride - 1)·√2. So few cells can
hold the maximum, and those are searched by branch and bound, since a distance changes by at most one pixel
per pixel. An exact distance costs one row of the vertical distances, the first half of the separable
transform of Felzenszwalb and Huttenlocher ("Distance Transforms of Sampled Functions", 2012). The answer is
that of the full transform, to the tie. A paste changes only what lies near it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from toolkit.blending import PlacedMask

_SLACK = 1e-3  # pixels; far above the rounding of float32 distances, far below one step of a distance
_ABSENT = np.int16(1 << 14)  # rows away: more than any distance, and twice it still fits int16
_QUARTERS = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])[:, :, None]  # rows and columns of a cell's four parts
_SIXTEEN = np.mgrid[:4, :4].reshape(2, 16, 1)
_SMALL_GAP = 4  # pixels; widening by a disc that small is faster than a distance transform
_AT_ONCE = 1 << 22  # distances looked at in one go, to bound memory


@dataclass(frozen=True)
class Peak:
    """The deepest point of a free space.

    Attributes:
        x: column in the photo.
        y: row in the photo.
        squared: squared distance to the nearest pixel that is not free, in pixels².
    """

    x: int
    y: int
    squared: int

    @property
    def distance(self) -> float:
        """Distance to the nearest pixel that is not free."""
        return math.sqrt(self.squared)


class FreeSpace:
    """What is left of a region while objects are placed in it."""

    def __init__(self, free: np.ndarray, stride: int | None = None) -> None:
        """Start from a region.

        Args:
            free: bool [H, W]; what lies outside the photo is not free.
            stride: side of a cell in pixels, a power of two; by default by the region's size.
        """
        left, top, width, height = cv2.boundingRect(np.ascontiguousarray(free).view(np.uint8))
        self._empty = width == 0
        if self._empty:
            return
        self._top, self._left = top - 1, left - 1  # one pixel that is not free lies all around
        self._stride = stride or _default_stride(height, width)
        shape = (_round_up(height + 2, self._stride), _round_up(width + 2, self._stride))
        self._free = np.zeros(shape, np.uint8)  # [h, w], 0 or 1
        self._free[1 : height + 1, 1 : width + 1] = free[top : top + height, left : left + width]
        self._find_cells()
        # On both sides as many columns of zeros as any distance can span.
        self._pad = math.ceil((self._highest + math.sqrt(2)) * self._stride)
        self._vertical = np.zeros((shape[0], shape[1] + 2 * self._pad), np.int16)
        _vertical_distance(self._free, self._vertical[:, self._pad : self._pad + shape[1]])
        # Around each pixel the columns that a distance can span: a view, made once, as that takes a while.
        self._spans = sliding_window_view(self._vertical, 2 * self._pad + 1, axis=1)  # [h, w, 2 pad + 1]
        self._squares = np.arange(-self._pad, self._pad + 1, dtype=np.int32) ** 2

    @property
    def area(self) -> int:
        """Number of free pixels left."""
        return 0 if self._empty else int(np.count_nonzero(self._free))

    def peak(self) -> Peak | None:
        """The point farthest from everything that is not free, the first in raster order; None when full."""
        if self._empty:
            return None
        while True:
            found = self._search()
            # A cell that is not clear may still hold free pixels, no deeper than its own diagonal.
            if self._stride == 1 or (found is not None and found[2] > 2 * (self._stride - 1) ** 2):
                break
            self._stride //= 2
            self._find_cells()
        if found is None:
            return None
        y, x, squared = found
        return Peak(x + self._left, y + self._top, squared)

    def share_free(self, placed: PlacedMask) -> float:
        """Share of a mask's pixels that lie on free ones, 0 to 1."""
        if self._empty or placed.area == 0:
            return 0.0
        window, crop = self._overlap(placed)
        return int(np.count_nonzero(self._free[window] & crop)) / placed.area

    def remove(self, placed: PlacedMask, gap: float = 0.0) -> None:
        """Take a pasted object away from the free space.

        Args:
            placed: the object's mask.
            gap: pixels around it that are taken away too.
        """
        if self._empty:
            return
        if gap > 0:
            placed = _widen(placed, gap)
        window, crop = self._overlap(placed)
        if not crop.any():
            return
        self._free[window] &= 1 - crop
        self._lower_vertical(window)
        self._block_cells(window)

    def free(self, height: int, width: int) -> np.ndarray:
        """The free pixels at the photo's size, bool [height, width]."""
        full = np.zeros((height, width), bool)
        if not self._empty:
            y0, x0 = max(self._top, 0), max(self._left, 0)
            part = self._free[y0 - self._top :, x0 - self._left :][: height - y0, : width - x0]
            full[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]] = part > 0
        return full

    def _overlap(self, placed: PlacedMask) -> tuple[tuple[slice, slice], np.ndarray]:
        """The part of a mask inside this space: its window here and its pixels, uint8 0 or 1."""
        height, width = placed.mask.shape
        top, left = placed.top - self._top, placed.left - self._left
        y0, x0 = min(max(top, 0), self._free.shape[0]), min(max(left, 0), self._free.shape[1])
        y1 = max(min(top + height, self._free.shape[0]), y0)
        x1 = max(min(left + width, self._free.shape[1]), x0)
        crop = placed.mask[y0 - top : y1 - top, x0 - left : x1 - left]
        return (slice(y0, y1), slice(x0, x1)), crop.astype(np.uint8)

    def _find_cells(self) -> None:
        """Find the distances of all cells, and the highest of them."""
        # float32, in cells; 0 where not clear
        self._cells = _transform(_clear_cells(self._free, self._stride))
        self._highest = float(self._cells.max())

    def _reach(self) -> int:
        """A distance in whole pixels that no pixel's distance exceeds."""
        return min(math.ceil((self._highest + math.sqrt(2)) * self._stride), self._pad)

    def _lower_vertical(self, window: tuple[slice, slice]) -> None:
        """Bring the vertical distances up to date after pixels of a window stopped being free."""
        rows, columns = window[0], slice(window[1].start + self._pad, window[1].stop + self._pad)
        free = self._free[window]
        row = np.arange(len(free), dtype=np.int16)[:, None]  # of the window
        open_ = free.view(bool)
        above = np.maximum.accumulate(np.where(open_, -_ABSENT, row), axis=0)  # nearest row that is not free
        below = np.minimum.accumulate(np.where(open_, _ABSENT, row)[::-1], axis=0)[::-1]
        inside = self._vertical[rows, columns]
        np.minimum(inside, np.minimum(row - above, below - row), out=inside)
        reach = self._reach()  # farther rows do not matter
        over = self._vertical[max(rows.start - reach, 0) : rows.start, columns]
        np.minimum(over, below[0] + np.arange(len(over), 0, -1, dtype=np.int16)[:, None], out=over)
        under = self._vertical[rows.stop : rows.stop + reach, columns]
        steps = np.arange(len(free), len(free) + len(under), dtype=np.int16)[:, None]
        np.minimum(under, steps - above[-1], out=under)

    def _block_cells(self, window: tuple[slice, slice]) -> None:
        """Bring the cells' distances up to date after pixels of a window stopped being free."""
        stride = self._stride
        y0, x0 = window[0].start // stride, window[1].start // stride
        y1, x1 = -(-window[0].stop // stride), -(-window[1].stop // stride)
        pixels = self._free[y0 * stride : y1 * stride, x0 * stride : x1 * stride]
        blocked = _clear_cells(pixels, stride) < (self._cells[y0:y1, x0:x1] > 0)
        if not blocked.any():
            return
        reach = math.ceil(self._highest)
        top, left = max(y0 - reach, 0), max(x0 - reach, 0)
        near = self._cells[top : y1 + reach, left : x1 + reach]
        unblocked = np.ones(near.shape, np.uint8)
        unblocked[y0 - top : y1 - top, x0 - left : x1 - left] = ~blocked
        np.minimum(near, _transform(unblocked), out=near)
        self._highest = float(self._cells.max())

    def _search(self) -> tuple[int, int, int] | None:
        """Row, column and squared distance of the deepest pixel of the clear cells."""
        size = self._stride
        highest = self._highest
        if highest == 0:
            return None
        bound = math.sqrt(2) * (size - 1) + _SLACK
        reach = self._reach()
        # The best pixel's cell lies at most twice the bound below the best cell.
        least = np.float32(max(highest - 2 * bound / size, _SLACK))
        index = np.flatnonzero(self._cells >= least)
        rows, columns = (part * size for part in divmod(index, self._cells.shape[1]))  # [N] each
        best = 0.0
        while size > 1:
            middle = (size - 1) // 2
            squared = self._squared(rows + middle, columns + middle, reach)  # [N]
            best = max(best, math.sqrt(squared.max()))
            lower = max(best - math.sqrt(2) * (size // 2) - _SLACK, 0.0)
            keep = squared >= lower * lower
            if size == 4 and int(np.count_nonzero(keep)) <= 16:
                rows = (rows[keep] + _SIXTEEN[0]).ravel()
                columns = (columns[keep] + _SIXTEEN[1]).ravel()
                break
            size //= 2
            rows = (rows[keep] + _QUARTERS[0] * size).ravel()
            columns = (columns[keep] + _QUARTERS[1] * size).ravel()
        squared = self._squared(rows, columns, reach)
        deepest = squared.max()
        flat = (rows * self._free.shape[1] + columns)[squared == deepest].min()
        y, x = divmod(int(flat), self._free.shape[1])
        return y, x, int(deepest)

    def _squared(self, rows: np.ndarray, columns: np.ndarray, reach: int) -> np.ndarray:
        """Exact squared distances int32 [N] of pixels to what is not free, none of them above ``reach``²."""
        squares = self._squares[self._pad - reach : self._pad + reach + 1]
        spans = self._spans[:, :, self._pad - reach : self._pad + reach + 1]  # [h, w, 2 reach + 1]
        result = np.empty(rows.size, np.int32)
        chunk = max(_AT_ONCE // squares.size, 1)
        for start in range(0, rows.size, chunk):
            part = slice(start, start + chunk)
            vertical = spans[rows[part], columns[part]].astype(np.int32)  # [n, 2 reach + 1]
            vertical *= vertical
            vertical += squares
            vertical.min(axis=1, out=result[part])
        return result


def _default_stride(height: int, width: int) -> int:
    """4 at 640×480, 8 at 12 megapixels, as measured."""
    return int(np.clip(2 ** round(math.log2(max(math.sqrt(height * width), 1) / 120)), 2, 8))


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _vertical_distance(free: np.ndarray, out: np.ndarray) -> None:
    """Distance of every pixel to the nearest one of its column that is not free.

    Args:
        free: uint8 [h, w]; the first and last row are not free.
        out: int16 [h, w], pixels; written to.
    """
    row = np.arange(len(free), dtype=np.int16)[:, None]
    # The nearest row that is not free, above and, upside down, below, both in one go; the first row is one.
    nearest = np.empty((len(free), 2, free.shape[1]), np.int16)
    blocked = 1 - free
    np.multiply(blocked, row, out=nearest[:, 0])
    np.multiply(blocked[::-1], row, out=nearest[:, 1])
    # Row by row: a tenth of the time of numpy's accumulate, which walks along columns.
    rows = list(nearest)
    for previous, current in pairwise(rows):
        np.maximum(previous, current, out=current)
    np.subtract(row[:, None], nearest, out=nearest)
    np.minimum(nearest[:, 0], nearest[::-1, 1], out=out)


def _clear_cells(free: np.ndarray, stride: int) -> np.ndarray:
    """The cells whose pixels are all free: uint8 [h, w] to uint8 [h / stride, w / stride]."""
    if stride == 1:
        return free.copy()
    lowest = cv2.erode(free, np.ones((stride, stride), np.uint8), anchor=(0, 0))
    return np.ascontiguousarray(lowest[::stride, ::stride])


def _transform(cells: np.ndarray) -> np.ndarray:
    """Exact distance transform of cells, uint8 to float32 [h, w]."""
    return cv2.distanceTransform(cells, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def _widen(placed: PlacedMask, gap: float) -> PlacedMask:
    """All pixels within ``gap`` of a mask; the crop may reach outside the photo."""
    pad = math.ceil(gap)
    height, width = placed.mask.shape
    wide = np.zeros((height + 2 * pad, width + 2 * pad), np.uint8)
    wide[pad : pad + height, pad : pad + width] = placed.mask
    if pad <= _SMALL_GAP:
        wide = cv2.dilate(wide, _disc(gap)).view(bool)
    else:
        wide = _transform(1 - wide) <= gap + _SLACK
    return PlacedMask(placed.left - pad, placed.top - pad, wide)


@lru_cache(maxsize=16)
def _disc(radius: float) -> np.ndarray:
    """The pixels within a radius of the middle one, uint8 [2 r + 1, 2 r + 1]."""
    steps = np.arange(-math.ceil(radius), math.ceil(radius) + 1) ** 2
    return (np.sqrt(steps[:, None] + steps) <= radius + _SLACK).astype(np.uint8)
