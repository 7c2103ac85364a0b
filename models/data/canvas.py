"""A training picture under construction: pixels, and the objects that are still visible in it."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np


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
        return float(self.mask.sum()) / max(self.whole, 1.0)


@dataclass
class Canvas:
    """Pixels uint8 ``[H, W, 3]`` and the objects in them."""

    image: np.ndarray
    objects: list[CanvasObject] = field(default_factory=list)

    def occlude(self, mask: np.ndarray, top: int, left: int) -> None:
        """Take a pasted patch's mask (bool ``[h, w]``) away from every object."""
        rows, columns = slice(top, top + mask.shape[0]), slice(left, left + mask.shape[1])
        for item in self.objects:
            item.mask[rows, columns] &= ~mask

    def flip(self, horizontal: bool) -> None:
        """Mirror pixels and masks."""
        axis = 1 if horizontal else 0
        self.image = np.flip(self.image, axis)
        for item in self.objects:
            item.mask = np.flip(item.mask, axis)

    def rotate(self, quarters: int) -> None:
        """Turn a square canvas by quarter turns."""
        self.image = np.rot90(self.image, quarters)
        for item in self.objects:
            item.mask = np.rot90(item.mask, quarters)


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
        np.ascontiguousarray(array),
        (width, height),
        interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR,
    )


def warp_mask(mask: np.ndarray, window: Window) -> np.ndarray:
    """A photo's mask (bool) as the window shows it, bool ``[size, size]``."""
    target = np.zeros((window.size, window.size), np.uint8)
    place(mask.astype(np.uint8) * 255, target, window)
    return target > 127
