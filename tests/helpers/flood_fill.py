"""A selection system for tests: an object is a connected patch of one colour on black."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from toolkit.clicks import Click
from toolkit.masks import mask_box
from toolkit.selection import Instance


def draw_discs(
    discs: Sequence[tuple[int, int, int, tuple[int, int, int]]], height: int, width: int
) -> np.ndarray:
    """Discs (x, y, radius, colour) on black, uint8 [H, W, 3]."""
    image = np.zeros((height, width, 3), np.uint8)
    rows, columns = np.indices((height, width))
    for x, y, radius, colour in discs:
        image[(columns - x) ** 2 + (rows - y) ** 2 <= radius**2] = colour
    return image


class FloodFillScene:
    """Patches by colour; siblings are the patches of the same colour."""

    def __init__(self, image: np.ndarray) -> None:
        self.image = image
        self.height, self.width = image.shape[:2]

    def _patches(self, colour: np.ndarray) -> tuple[np.ndarray, int]:
        labels, count = ndimage.label((self.image == colour).all(axis=2))
        return labels, count

    def segment(self, clicks: Sequence[Click]) -> Instance | None:
        click = clicks[0]
        colour = self.image[int(click.y), int(click.x)]
        if not colour.any():
            return None
        labels, _ = self._patches(colour)
        return self._instance(labels == labels[int(click.y), int(click.x)], click)

    def segment_each(self, clicks: Sequence[Click]) -> list[Instance | None]:
        return [self.segment([click]) for click in clicks]

    def select_similar(self, click: Click) -> list[Instance]:
        clicked = self.segment([click])
        if clicked is None:
            return []
        labels, count = self._patches(self.image[int(click.y), int(click.x)])
        own = labels[int(click.y), int(click.x)]
        others = [self._instance(labels == label, None) for label in range(1, count + 1) if label != own]
        return [clicked, *others]

    def _instance(self, mask: np.ndarray, click: Click | None) -> Instance:
        return Instance(mask=mask, box=mask_box(mask), score=0.9, click=click)


class FloodFillSystem:
    """The system that encodes into such scenes."""

    name = "flood-fill"

    def encode(self, image: np.ndarray) -> FloodFillScene:
        return FloodFillScene(image)
