"""Training clicks of an object on the canvas."""

from __future__ import annotations

import cv2
import numpy as np

from models.data.canvas import box_of

LEAST_DEPTH = 0.3  # of the largest distance to the boundary


def interior_distance(mask: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Distance of an object's pixels to its boundary, within its box.

    Args:
        mask: bool ``[H, W]``, not empty.

    Returns:
        float32 distances of the box, and the box's top row and left column.
    """
    left, top, width, height = box_of(mask)
    box = np.pad(mask[top : top + height, left : left + width].astype(np.uint8), 1)
    return cv2.distanceTransform(box, cv2.DIST_L2, 3)[1:-1, 1:-1], top, left


def sample_clicks(
    mask: np.ndarray, rng: np.random.Generator, single_probability: float = 0.6
) -> list[tuple[float, float]]:
    """One to five clicks inside an object, near its centre.

    Pixels count as near when their distance to the boundary is a random part (0.3 to 1) of the largest:
    people aim at the middle, so half of the clicks keep above 0.82 of it.

    Args:
        mask: bool ``[H, W]``, not empty.
        rng: Source of randomness.
        single_probability: Of one click; two to five share the rest.

    Returns:
        (x, y) at pixel centres.

    Source: SimpSON, section 5.1: 1–5 clicks from the distance transform, around the centre.
    """
    distance, top, left = interior_distance(mask)
    count = 1 if rng.random() < single_probability else int(rng.integers(2, 6))
    part = 1 - (1 - LEAST_DEPTH) * rng.random() ** 2
    near = np.flatnonzero(distance >= part * distance.max())
    chosen = near[rng.integers(len(near), size=count)]
    width = distance.shape[1]
    return [(left + int(i % width) + 0.5, top + int(i // width) + 0.5) for i in chosen]
