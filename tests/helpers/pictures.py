"""A split for training tests: photos of coloured shapes in groups, large enough for crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.helpers.masks import disk
from toolkit.masks import mask_to_rle
from toolkit.split import Annotation, SplitWriter

COLOURS = ((220, 40, 40), (40, 190, 60), (50, 70, 230), (230, 200, 40))
SIZE = 96


def group_photo(
    rng: np.random.Generator, size: int = SIZE, per_group: int = 3, groups: int = 2
) -> tuple[np.ndarray, list[tuple[np.ndarray, int]]]:
    """Shapes on a grid of places, so that none touches another.

    Returns:
        uint8 [size, size, 3]; and for each shape its mask and its group, 1, 2, ….
    """
    image = rng.integers(110, 140, (size, size, 3)).astype(np.uint8)
    cell = size // 3
    places = rng.permutation(9)[: per_group * groups]
    colours = rng.permutation(len(COLOURS))
    rows, columns = np.indices((size, size))
    objects = []
    for index, place in enumerate(places):
        group = index // per_group
        x, y = (place % 3 + 0.5) * cell + rng.uniform(-3, 3), (place // 3 + 0.5) * cell + rng.uniform(-3, 3)
        radius = 0.28 * cell
        if group % 2 == 0:
            mask = disk(size, size, x, y, radius)
        else:
            mask = np.maximum(abs(columns + 0.5 - x), abs(rows + 0.5 - y)) <= radius
        image[mask] = COLOURS[colours[group]]
        objects.append((mask, group + 1))
    return image, objects


def write_group_split(root: Path, photos: int = 4, seed: int = 0, size: int = SIZE, **layout) -> Path:
    """Write photos with two groups of three shapes each (see `group_photo`), and return the folder."""
    rng = np.random.default_rng(seed)
    with SplitWriter(root, categories=[{"id": 1, "name": "shape"}]) as writer:
        for index in range(photos):
            image, objects = group_photo(rng, size, **layout)
            annotations = [
                Annotation(category_id=1, segmentation=mask_to_rle(mask), group_id=group)
                for mask, group in objects
            ]
            writer.add_image(image, annotations, file_name=f"photo{index}.png", source="numpy")
    return root
