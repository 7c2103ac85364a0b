"""The contact shadow of an object that stands on the ground."""

from __future__ import annotations

import math

import cv2
import numpy as np

from toolkit.blending import PlacedMask


def cast_contact_shadow(canvas: np.ndarray, placed: PlacedMask, darkness: float) -> None:
    """Darken the ground under an object, in place; the object is pasted over it afterwards.

    The shadow is the object's own outline, moved down a little and blurred: dark where the object stands,
    soon gone beside it.

    Args:
        canvas: uint8 [H, W, 3], changed.
        placed: where the object will be.
        darkness: 0 for none, 1 for black.
    """
    if placed.area == 0 or darkness <= 0:
        return
    height, width = placed.mask.shape
    sigma = max(0.06 * min(height, width), 0.8)
    drop = max(round(0.06 * height), 1)
    pad = math.ceil(3 * sigma) + drop
    outline = np.pad(placed.mask.astype(np.float32), pad)
    outline = np.roll(outline, drop, axis=0)  # the padding is wider than the drop
    soft = cv2.GaussianBlur(outline, (0, 0), sigma)
    top, left = placed.top - pad, placed.left - pad
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + soft.shape[0], canvas.shape[0]), min(left + soft.shape[1], canvas.shape[1])
    keep = 1.0 - darkness * soft[y0 - top : y1 - top, x0 - left : x1 - left, None]
    window = canvas[y0:y1, x0:x1]
    window[...] = np.rint(window * keep).astype(np.uint8)
