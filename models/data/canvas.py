"""A training picture under construction: pixels, and the objects that are still visible in it."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from toolkit.blending import PlacedMask
from toolkit.masks import mask_box

# By counter-clockwise quarter turns.
TURNS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, width and height of a mask (bool ``[H, W]``); of an empty one, zeros."""
    left, top, right, bottom = map(int, mask_box(mask))
    return left, top, right - left, bottom - top


@dataclass
class CanvasObject:
    """An object on the canvas.

    Attributes:
        mask: bool ``[H, W]``, what is visible of it.
        group: Siblings share one.
        whole: Its area before cropping and occlusion, pixels of the canvas.
        kind: Category in its split; -1 where nobody said.
        photo: Index in the pool of the photo that its pixels come from; -1 where unknown.
        complete: Whether every member of its group in this picture is known.
    """

    mask: np.ndarray
    group: int
    whole: float
    kind: int = -1
    photo: int = -1
    complete: bool = False

    @property
    def visible(self) -> float:
        """Fraction of the object that is still to be seen."""
        return np.count_nonzero(self.mask) / max(self.whole, 1.0)


@dataclass
class Canvas:
    """Pixels uint8 ``[H, W, 3]`` and the objects in them."""

    image: np.ndarray
    objects: list[CanvasObject] = field(default_factory=list)

    def occlude(self, mask: np.ndarray, top: int, left: int) -> None:
        """Take a pasted patch's mask (bool ``[h, w]``) away from every object."""
        rows, columns = slice(top, top + mask.shape[0]), slice(left, left + mask.shape[1])
        free = ~mask
        for item in self.objects:
            item.mask[rows, columns] &= free

    def flip(self, horizontal: bool) -> None:
        """Mirror pixels and masks."""
        axis = 1 if horizontal else 0
        self.image = cv2.flip(self.image, axis)
        for item in self.objects:
            item.mask = cv2.flip(item.mask.view(np.uint8), axis).view(bool)

    def rotate(self, quarters: int) -> None:
        """Turn a square canvas by quarter turns."""
        if quarters % 4 == 0:
            return
        turn = TURNS[quarters % 4]  # copies, because a turned view makes all that follows slow
        self.image = cv2.rotate(self.image, turn)
        for item in self.objects:
            item.mask = cv2.rotate(item.mask.view(np.uint8), turn).view(bool)


@dataclass(frozen=True)
class Window:
    """Where a square crop lies in a photo.

    Attributes:
        scale: Canvas pixels per photo pixel.
        left: Photo column of the crop's left edge; may be negative.
        top: Photo row of its upper edge; may be negative.
        size: Side of the crop, canvas pixels.
    """

    scale: float
    left: float
    top: float
    size: int

    def placed(self, height: int, width: int) -> tuple[slice, slice, slice, slice]:
        """Photo rows and columns that the crop shows, and the canvas rows and columns that they fill."""
        side = self.size / self.scale
        y1, y2 = max(0, int(np.floor(self.top))), min(height, int(np.ceil(self.top + side)))
        x1, x2 = max(0, int(np.floor(self.left))), min(width, int(np.ceil(self.left + side)))
        row1, row2 = (round((y - self.top) * self.scale) for y in (y1, y2))
        column1, column2 = (round((x - self.left) * self.scale) for x in (x1, x2))
        return (
            slice(y1, y2),
            slice(x1, x2),
            slice(max(row1, -self.size), row2),
            slice(max(column1, -self.size), column2),
        )

    def cover(self, height: int, width: int) -> tuple[np.ndarray, int, int]:
        """The cells that a photo fills: a mask of them alone, and its top row and left column."""
        _, _, rows, columns = self.placed(height, width)
        top, left = max(rows.start, 0), max(columns.start, 0)
        bottom, right = min(rows.stop, self.size), min(columns.stop, self.size)
        return np.ones((max(bottom - top, 0), max(right - left, 0)), bool), top, left


def place(source: np.ndarray, target: np.ndarray, window: Window) -> None:
    """Scale what a window shows of a photo (or of a 0/255 mask), and write it into the canvas array."""
    rows, columns, to_rows, to_columns = window.placed(*source.shape[:2])
    height, width = to_rows.stop - to_rows.start, to_columns.stop - to_columns.start
    if height <= 0 or width <= 0 or rows.stop <= rows.start or columns.stop <= columns.start:
        return
    part = resize(source[rows, columns], height, width)
    row1, row2 = max(to_rows.start, 0), min(to_rows.stop, window.size)
    column1, column2 = max(to_columns.start, 0), min(to_columns.stop, window.size)
    if row2 <= row1 or column2 <= column1:
        return
    target[row1:row2, column1:column2] = part[
        row1 - to_rows.start : row2 - to_rows.start, column1 - to_columns.start : column2 - to_columns.start
    ]


def resize(array: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize pixels: area averages when shrinking, bilinear when growing."""
    shrinking = height < array.shape[0]
    return cv2.resize(
        array,
        (width, height),
        interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR,
    )


def warp_part(part: PlacedMask, height: int, width: int, window: Window) -> np.ndarray:
    """The mask of a photo of ``height`` rows and ``width`` columns as the window shows it.

    It is where :func:`place` puts the photo's pixels, but only what lies around the object is looked at.

    Args:
        part: All that is set lies in it; the smaller it is, the faster.
        height: Of the photo.
        width: Of the photo.
        window: What is shown.

    Returns:
        bool ``[size, size]``.
    """
    seen = np.zeros((window.size, window.size), bool)
    rows, columns, to_rows, to_columns = window.placed(height, width)
    left, top, right, bottom = part.box
    top, bottom = max(top, rows.start), min(bottom, rows.stop)
    left, right = max(left, columns.start), min(right, columns.stop)
    if top >= bottom or left >= right:
        return seen
    vertical = _span(top - rows.start, bottom - top, rows.stop - rows.start, to_rows, window.size)
    horizontal = _span(
        left - columns.start, right - left, columns.stop - columns.start, to_columns, window.size
    )
    if not (vertical.cells and horizontal.cells):
        return seen
    near: np.ndarray = np.zeros((_length(vertical.source), _length(horizontal.source)), np.uint8)
    y, x = top - rows.start - vertical.source.start, left - columns.start - horizontal.source.start
    shown = part.mask[top - part.top : bottom - part.top, left - part.left : right - part.left]
    np.multiply(shown, np.uint8(255), out=near[y : y + bottom - top, x : x + right - left])
    kernel = (horizontal.kernel, vertical.kernel)
    if kernel != (1, 1):
        near = cv2.blur(near, kernel, borderType=cv2.BORDER_REPLICATE)
    matrix = np.array([[horizontal.step, 0.0, horizontal.offset], [0.0, vertical.step, vertical.offset]])
    warped = cv2.warpAffine(
        near,
        matrix,
        (horizontal.cells, vertical.cells),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    seen[vertical.target, horizontal.target] = warped > 127
    return seen


def _length(part: slice) -> int:
    return int(part.stop - part.start)


@dataclass(frozen=True)
class _Span:
    """One axis of a warp: which canvas cells are filled, and where each of them reads.

    Attributes:
        source: Pixels of the photo's part that are read.
        target: Cells of the canvas.
        kernel: Pixels averaged for a cell.
        step: Pixels from one cell to the next.
        offset: Pixel, counted from the source's first, that the first cell reads.
    """

    source: slice
    target: slice
    kernel: int
    step: float
    offset: float

    @property
    def cells(self) -> int:
        return _length(self.target)


def _span(start: int, length: int, pixels: int, to: slice, size: int) -> _Span:
    """The axis of an object that begins at pixel ``start`` of a part that is scaled into the cells ``to``."""
    step = pixels / max(to.stop - to.start, 1)
    kernel = max(round(step), 1)
    first = max(to.start + int(np.floor(start / step)) - 1, to.start, 0) if pixels else 0
    last = min(to.start + int(np.ceil((start + length) / step)) + 1, to.stop, size) if pixels else 0
    margin = kernel + int(np.ceil(step)) + 1
    source = slice(max(start - margin, 0), min(start + length + margin, pixels))
    # an average of an even number of pixels lies half a pixel before the one that holds it
    offset = (first - to.start + 0.5) * step - 0.5 + 0.5 * (kernel % 2 == 0) - source.start
    return _Span(source, slice(first, max(last, first)), kernel, step, offset)
