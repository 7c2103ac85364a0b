"""Placement as the paper words it: the whole distance map, recomputed after every paste.

Slow and plain. `synth.placement.space` gives the same answers faster; tests and the benchmark hold the two
together, and the preview draws these maps.
"""

from __future__ import annotations

import cv2
import numpy as np


def distance_map(free: np.ndarray) -> np.ndarray:
    """Euclidean distance of every free pixel to the nearest pixel that is not free.

    What lies outside the photo is not free: else the deepest place of a region cut by the photo's border
    would lie on that border, and half of the object outside.

    Args:
        free: bool [H, W].

    Returns:
        float32 [H, W], pixels; 0 where not free.
    """
    padded = np.pad(free.astype(np.uint8), 1)
    return cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]


def literal_peak(free: np.ndarray) -> tuple[int, int, int] | None:
    """The maximum of the distance map, the first in raster order.

    Args:
        free: bool [H, W].

    Returns:
        x, y and the squared distance; None when nothing is free.
    """
    squared = np.rint(distance_map(free).astype(np.float64) ** 2)
    index = int(squared.argmax())
    y, x = divmod(index, free.shape[1])
    if squared[y, x] == 0:
        return None
    return x, y, int(squared[y, x])
