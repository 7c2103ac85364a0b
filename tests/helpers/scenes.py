"""Photos with known regions, and donors to paste into them, made from nothing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from toolkit.masks import mask_to_rle
from toolkit.split import Annotation, SplitWriter

HEIGHT, WIDTH = 120, 160
GROUND, WALL, SKY = 1, 3, 4


def noisy(rng: np.random.Generator, colour: tuple[int, int, int], height: int, width: int) -> np.ndarray:
    """A plain surface with a little noise, uint8 [height, width, 3]."""
    return np.clip(np.array(colour) + rng.normal(0, 3, (height, width, 3)), 0, 255).astype(np.uint8)


def region_map(horizon: int = 50, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Sky over a wall over the ground, and a pillar of "other", uint8 [height, width]."""
    regions = np.full((height, width), GROUND, np.uint8)
    regions[:horizon] = WALL
    regions[: horizon // 3] = SKY
    regions[:, width // 2 : width // 2 + 6] = 0
    return regions


def shape_mask(kind: int, x: int, y: int, size: int, height: int, width: int) -> np.ndarray:
    """A disc, a square or a triangle of a size around a point, bool [height, width]."""
    mask = np.zeros((height, width), np.uint8)
    if kind % 3 == 0:
        cv2.circle(mask, (x, y), size // 2, 1, -1)
    elif kind % 3 == 1:
        cv2.rectangle(mask, (x - size // 2, y - size // 2), (x + size // 2, y + size // 2), 1, -1)
    else:
        points = np.array(
            [[x - size // 2, y + size // 2], [x + size // 2, y + size // 2], [x, y - size // 2]]
        )
        cv2.fillPoly(mask, [points], 1)
    return mask > 0


def write_photos(
    root: Path, count: int = 4, seed: int = 0, own: int = 2, regions: bool = True, licence: str = "CC0"
) -> Path:
    """Write a split of photos with a wall and a ground, each with ``own`` dark discs on the ground."""
    rng = np.random.default_rng(seed)
    with SplitWriter(root, categories=[{"id": 5, "name": "spot"}]) as writer:
        for number in range(count):
            index_map = region_map(40 + 5 * (number % 4))
            image = noisy(rng, (150, 150, 140), HEIGHT, WIDTH)
            image[index_map == GROUND] = noisy(rng, (110, 90, 70), HEIGHT, WIDTH)[index_map == GROUND]
            image[index_map == SKY] = noisy(rng, (130, 170, 220), HEIGHT, WIDTH)[index_map == SKY]
            annotations = []
            for place in range(own):
                mask = shape_mask(0, 30 + 100 * place, 98, 12, HEIGHT, WIDTH)
                image[mask] = (40, 40, 45)
                annotations.append(Annotation(category_id=5, segmentation=mask_to_rle(mask), group_id=1))
            writer.add_image(
                image,
                annotations,
                file_name=f"photo{number}.png",
                license=licence,
                source="made",
                regions=index_map if regions else None,
            )
    return root


def write_donors(root: Path, count: int = 6, seed: int = 1, licence: str = "MIT") -> Path:
    """Write a split of donors: bright shapes of three kinds on a plain background, three in each photo."""
    rng = np.random.default_rng(seed)
    categories = [{"id": 1, "name": "disc"}, {"id": 2, "name": "square"}, {"id": 3, "name": "triangle"}]
    with SplitWriter(root, categories=categories) as writer:
        for number in range(count):
            image = noisy(rng, (235, 235, 235), 80, 120)
            annotations = []
            for kind in range(3):
                size = int(rng.integers(9, 15))
                mask = shape_mask(kind, 22 + 36 * kind, 40, size, 80, 120)
                image[mask] = rng.integers(20, 200, 3)
                annotations.append(Annotation(category_id=kind + 1, segmentation=mask_to_rle(mask)))
            writer.add_image(image, annotations, file_name=f"donor{number}.png", license=licence)
    return root
