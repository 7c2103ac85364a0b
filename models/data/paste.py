"""Groups of real cut-outs pasted onto a canvas, on the fly."""

from __future__ import annotations

import numpy as np

from models.data.canvas import Canvas, CanvasObject
from models.data.pool import PhotoPool
from toolkit.blending import paste
from toolkit.cutouts import Cutout, cut_out, transform, vary_colour

SMALLEST_DONOR = 8  # pixels; smaller ones are smears once enlarged
LARGEST_ENLARGEMENT = 2.5
# Several blends, so that a model can't learn the seams; poisson is too slow for the loader.
BLENDS = ("hard", "feather", "gaussian")


def cut_donor(pool: PhotoPool, rng: np.random.Generator, size: float) -> Cutout | None:
    """A random object of the pool, scaled so that its larger side measures ``size`` pixels.

    Returns:
        None when the object drawn is too small or has no pixels.
    """
    index = pool.draw(rng)
    item = pool.objects[index][int(rng.integers(len(pool.objects[index])))]
    if item.size < SMALLEST_DONOR:
        return None
    mask = pool.mask(index, item)
    if not mask.any():
        return None
    return transform(cut_out(pool.image(index), mask), scale=min(size / item.size, LARGEST_ENLARGEMENT))


def paste_group(
    canvas: Canvas, pool: PhotoPool, rng: np.random.Generator, group: int, copies: int, size: float
) -> None:
    """Paste ``copies`` similar objects of one donor at random places."""
    donor = cut_donor(pool, rng, size)
    if donor is None:
        return
    spread = rng.choice([10.0, 45.0, 180.0])  # upright things turn little, litter turns any way
    mode = BLENDS[int(rng.integers(len(BLENDS)))]
    height, width = canvas.image.shape[:2]
    for _ in range(copies):
        sibling = transform(
            donor, scale=rng.uniform(0.8, 1.2), angle=rng.uniform(-spread, spread), flip=rng.random() < 0.5
        )
        if sibling is None:
            continue
        sibling = vary_colour(sibling, gain=rng.uniform(0.88, 1.12) * rng.uniform(0.95, 1.05, 3))
        # a quarter of it at most lies beyond the border
        left = int(rng.integers(-sibling.width // 4, max(width - sibling.width * 3 // 4, 0) + 1))
        top = int(rng.integers(-sibling.height // 4, max(height - sibling.height * 3 // 4, 0) + 1))
        placed = paste(canvas.image, sibling, left, top, mode)
        if placed.area == 0:
            continue
        canvas.occlude(placed.mask, placed.top, placed.left)
        canvas.objects.append(CanvasObject(placed.full(height, width), group, float(sibling.area)))
