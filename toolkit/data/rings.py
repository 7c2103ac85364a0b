"""Several rings as one: the way formats with a single polygon per object hold objects of several pieces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def join_rings(rings: Sequence[np.ndarray]) -> np.ndarray:
    """Join rings into one closed path with bridges of no width between them.

    Each ring is entered and left at the same vertex, over the shortest way between vertices of it and of
    those joined before, so the bridge encloses no area and the path fills the same pixels as the rings.

    Args:
        rings: float [n, 2] each, not closed (the last vertex differs from the first), none inside another.

    Returns:
        float [m, 2], not closed.
    """
    from scipy.spatial import cKDTree

    path = np.asarray(rings[0], float)
    for ring in rings[1:]:
        ring = np.asarray(ring, float)
        distances, nearest = cKDTree(path).query(ring)
        entry = int(np.argmin(distances))
        leave = int(nearest[entry])
        around = np.roll(ring, -entry, axis=0)
        path = np.concatenate([path[: leave + 1], around, around[:1], path[leave:]])
    return path
