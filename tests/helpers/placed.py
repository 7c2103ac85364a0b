"""Objects with masks that are rectangles, whose areas are worked out by hand, or ragged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from models.one_click.found_object import FoundObject
from models.placed_object import PlacedObject


def rectangle(
    top: int, left: int, height: int, width: int, scale: float = 1.0, score: float = 0.5
) -> PlacedObject:
    """A window full of positive cells (4 pixels each) of a copy of the photo; two clicks need no middle."""
    logits = np.full((height, width), 4.0, np.float32)
    return PlacedObject(FoundObject(logits, top, left, score, ((0.0, 0.0), (0.0, 0.0))), scale)


def clicked(item: PlacedObject, *clicks: tuple[float, float]) -> PlacedObject:
    """The same in answer to other clicks, in pixels of its copy."""
    return replace(item, found=replace(item.found, clicks=clicks))


def blob(rng: np.random.Generator, scale: float) -> PlacedObject:
    """A ragged mask, clicked in its middle, somewhere in a photo of 100 × 100 pixels, seen at a scale."""
    height, width = (int(side) for side in rng.integers(4, 12, 2))
    logits = ndimage.gaussian_filter(rng.normal(0.3, 1.0, (height, width)), 1.2).astype(np.float32)
    logits[height // 2, width // 2] = 1.0
    top, left = (int(place) for place in rng.integers(0, max(round(100 * scale / 4) - 12, 1), 2))
    middle = ((left + width / 2) * 4, (top + height / 2) * 4)
    return PlacedObject(FoundObject(logits, top, left, 0.5, (middle,)), scale)
