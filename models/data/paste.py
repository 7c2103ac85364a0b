"""Groups of real cut-outs pasted onto a canvas, on the fly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.data.canvas import Canvas, CanvasObject
from models.data.pool import PhotoPool
from toolkit.blending import paste
from toolkit.cutouts import Cutout, cut_out, transform, vary_colour

SMALLEST_DONOR = 8  # pixels; smaller ones are smears once enlarged
LARGEST_ENLARGEMENT = 2.5
MOST_DONORS = 4  # different members of a group in one pasted group
# Several blends, so that a model can't learn the seams; poisson is too slow for the loader.
BLENDS = ("hard", "feather", "gaussian")


@dataclass(frozen=True)
class Donors:
    """Cut-outs of one group of a photo.

    Attributes:
        cutouts: At least one.
        kind: Their category.
        photo: Index of the photo in the pool.
    """

    cutouts: list[Cutout]
    kind: int
    photo: int


def cut_donors(pool: PhotoPool, rng: np.random.Generator, size: float, most: int = 1) -> Donors | None:
    """A random object of the pool, and siblings of it.

    Args:
        pool: Where objects come from.
        rng: Source of randomness.
        size: Larger side of the first cut-out, pixels; its siblings are scaled as it is, but to no less
            than half and no more than twice this size.
        most: Most cut-outs.

    Returns:
        None when the object drawn is too small or has no pixels.
    """
    index = pool.draw(rng)
    item = pool.objects[index][int(rng.integers(len(pool.objects[index])))]
    members = [item]
    if most > 1 and item.group >= 0:
        others = [o for o in pool.objects[index] if o.group == item.group and o is not item]
        members += [others[i] for i in rng.permutation(len(others))[: most - 1]]
    cutouts = []
    photo = None
    for member in members:
        part = pool.part(index, member) if member.size >= SMALLEST_DONOR else None
        if part is None or part.area == 0:
            if member is item:
                return None
            continue
        photo = pool.image(index) if photo is None else photo
        wanted = float(np.clip(size * member.size / item.size, size / 2, size * 2))
        scaled = transform(
            cut_out(photo[part.window], part.mask), scale=min(wanted / member.size, LARGEST_ENLARGEMENT)
        )
        if scaled is not None:
            cutouts.append(scaled)
    return Donors(cutouts, item.annotation.category_id, index) if cutouts else None


def paste_group(
    canvas: Canvas,
    pool: PhotoPool,
    rng: np.random.Generator,
    group: int,
    copies: int,
    size: float,
    mixed: bool = False,
) -> None:
    """Paste ``copies`` similar objects at random places: of one donor, or ``mixed`` ones of its group."""
    donors = cut_donors(pool, rng, size, MOST_DONORS if mixed else 1)
    if donors is None:
        return
    spread = rng.choice([10.0, 45.0, 180.0])  # upright things turn little, litter turns any way
    mode = BLENDS[int(rng.integers(len(BLENDS)))]
    height, width = canvas.image.shape[:2]
    for _ in range(copies):
        sibling = transform(
            donors.cutouts[int(rng.integers(len(donors.cutouts)))],
            scale=rng.uniform(0.8, 1.2),
            angle=rng.uniform(-spread, spread),
            flip=rng.random() < 0.5,
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
        canvas.objects.append(
            CanvasObject(
                placed.full(height, width), group, float(sibling.area), donors.kind, donors.photo, True
            )
        )
