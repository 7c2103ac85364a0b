"""Where FocalClick looks again, and what of the new mask it takes."""

from __future__ import annotations

import cv2
import numpy as np

from models.systems.clicking.crops import EXPANSION, Crop

# A change smaller than a third of the object, in height or width, is looked at in a square around the click
# (released code of FocalClick).
SMALL_CHANGE = 1 / 3
AROUND_CLICK = 0.2  # half of the square's side, of the object's larger side
LEAST_CHANGE = 10  # pixels; below, the whole object is looked at


def clicked_piece(region: np.ndarray, row: int, column: int) -> np.ndarray:
    """The connected piece (8 neighbours) of a region, bool ``[H, W]``, that a pixel lies on; empty off it."""
    if not region[row, column]:
        return np.zeros_like(region)
    _, labels = cv2.connectedComponents(region.astype(np.uint8), connectivity=8)
    return labels == labels[row, column]


def focus_box(
    coarse: np.ndarray, previous: np.ndarray, click: tuple[float, float], expansion: float = EXPANSION
) -> tuple[float, float, float, float]:
    """The focus crop in a target crop.

    Around what the click changed; around the whole object for a first click, or when the change does not hold
    the click; around the click itself when the change is small.

    Args:
        coarse: bool ``[h, w]``, the new coarse mask.
        previous: bool ``[h, w]``, the mask before.
        click: (x, y) of the newest click, pixels of the crop.
        expansion: The box grows by this factor around its centre.

    Returns:
        (x1, y1, x2, y2), clipped to the crop; the whole crop of an empty coarse mask.

    Source: FocalClick (Chen et al., CVPR 2022), section 3.2 (focus crop).
    """
    height, width = coarse.shape
    if coarse.sum() < LEAST_CHANGE:
        return 0.0, 0.0, float(width), float(height)
    whole = _box(coarse)
    box = whole
    row = min(max(int(click[1]), 0), height - 1)
    column = min(max(int(click[0]), 0), width - 1)
    if previous.any():
        piece = clicked_piece(coarse ^ previous, row, column)
        if piece.sum() >= LEAST_CHANGE:
            box = _box(piece)
            wide, high = whole[2] - whole[0], whole[3] - whole[1]
            if box[2] - box[0] < SMALL_CHANGE * wide or box[3] - box[1] < SMALL_CHANGE * high:
                reach = AROUND_CLICK * max(wide, high)
                x, y = click
                box = (x - reach, y - reach, x + reach, y + reach)
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half_x, half_y = expansion * (box[2] - box[0]) / 2, expansion * (box[3] - box[1]) / 2
    x1, x2 = max(x - half_x, 0.0), min(x + half_x, float(width))
    y1, y2 = max(y - half_y, 0.0), min(y + half_y, float(height))
    return x1, y1, x2, y2


def progressive_merge(new: np.ndarray, previous: np.ndarray, row: int, column: int) -> np.ndarray:
    """Take of a new mask only the changed piece that holds the click; elsewhere the mask stays.

    Args:
        new: bool ``[H, W]``.
        previous: bool ``[H, W]``.
        row: Of the newest click.
        column: Of the newest click.

    Source: FocalClick, section 3.3 and figure 5 (progressive merge).
    """
    changed = clicked_piece(new ^ previous, row, column)
    return np.where(changed, new, previous)


def box_to_crop(box: tuple[float, float, float, float], target: Crop, side: tuple[int, int]) -> Crop:
    """A box in the segmentor's input, ``side`` (height, width) pixels, as a part of the photo."""
    step_y, step_x = target.height / side[0], target.width / side[1]
    left, top = target.left + int(box[0] * step_x), target.top + int(box[1] * step_y)
    right = min(target.left + int(np.ceil(box[2] * step_x)), target.left + target.width)
    bottom = min(target.top + int(np.ceil(box[3] * step_y)), target.top + target.height)
    return Crop(top, left, max(bottom - top, 1), max(right - left, 1))


def _box(mask: np.ndarray) -> tuple[float, float, float, float]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
