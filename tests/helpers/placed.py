"""Objects of masks that are rectangles, whose areas and overlaps are worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

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
