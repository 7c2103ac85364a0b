"""Where the simulated person clicks on an object."""

from __future__ import annotations

import math

import numpy as np

from toolkit.clicks import Click, center_click


def object_click(mask: np.ndarray, jitter: float, rng: np.random.Generator) -> Click:
    """Return a click on the object's deepest pixel, or near it.

    Args:
        mask: bool [H, W], not empty.
        jitter: standard deviation of both coordinates around the deepest pixel, as a fraction of the radius
            of a disc with the mask's area; a click that leaves the mask goes to its nearest pixel. 0 is the
            centre click of the protocols, which flatters every system: people click less exactly (RClicks,
            NeurIPS 2024).
        rng: the source of chance.
    """
    center = center_click(mask)
    if jitter == 0:
        return center
    rows, columns = np.nonzero(mask)
    radius = math.sqrt(len(rows) / math.pi)
    x, y = np.array([center.x, center.y]) + rng.normal(0, jitter * radius, 2)
    nearest = int(np.argmin((columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2))
    return Click(float(columns[nearest]) + 0.5, float(rows[nearest]) + 0.5)


def random_of(seed: int, *ids: int) -> np.random.Generator:
    """Return a generator of its own for the thing with these ids: the same in any order of work."""
    return np.random.default_rng([seed, *(number & (2**64 - 1) for number in ids)])
