"""What a click's proposals have in common, in one mask.

Each proposal has errors of its own along its border, and many show the same object. The mean of their logits,
in proportion to how likely each is what was clicked, has fewer errors; of proposals that show different
things, the likelier ones win.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from models.chooser.lattice import LIMIT
from models.placed_object import PlacedObject

LEAST_WEIGHT = 0.01  # of all; what has less changes nothing that one could see


def blend(items: Sequence[PlacedObject], weights: np.ndarray, offsets: np.ndarray) -> PlacedObject:
    """The mean mask of a click's proposals.

    Args:
        items: N proposals, at least one, none of them empty.
        weights: float ``[N]``, how likely each is what was clicked; they sum to 1.
        offsets: float ``[N]``, added to the logits of each.

    Returns:
        A mask on the cells of the finest proposal that has a part in it, with the likeliest one's score and
        clicks; the likeliest one itself where the mean would be empty, or lose its click.
    """
    likeliest = items[int(weights.argmax())]
    kept = weights >= LEAST_WEIGHT
    parts = [items[index] for index in np.flatnonzero(kept)]
    shares = (weights[kept] / weights[kept].sum()).astype(np.float32)
    scale = max(item.scale for item in parts)
    windows = np.array([item.window(scale) for item in parts])
    top, left = (int(low) for low in windows[:, :2].min(0))
    bottom, right = (int(high) for high in windows[:, 2:].max(0))
    total = np.full((bottom - top, right - left), (shares * offsets[kept]).sum(), np.float32)
    for item, share in zip(parts, shares, strict=True):
        total += share * item.on_cells(scale, top, left, total.shape).clip(-LIMIT, LIMIT)
    points = [(x / likeliest.scale, y / likeliest.scale) for x, y in likeliest.found.clicks]
    clicks = tuple((x * scale, y * scale) for x, y in points)
    mean = PlacedObject(replace(likeliest.found, logits=total, top=top, left=left, clicks=clicks), scale)
    if not (total > 0).any() or any(not mean.holds(*p) for p in points if likeliest.holds(*p)):
        return likeliest
    return mean
