"""Masks as one closed outline, for Label Studio's polygon regions, which have neither holes nor parts.

Holes and parts are reached over bridges of no width, walked once there and once back, so that one ring
holds any mask: by the even-odd rule a bridge fills nothing, and rings turn so that the non-zero rule agrees.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from shapely import Polygon

from toolkit.masks import mask_box, mask_iou, mask_to_polygons, polygons_to_mask

MAX_POINTS = 200  # thousands of points freeze the page
MIN_POINTS = 3
GOOD_ENOUGH = 0.95  # IoU of the simplified outline with its mask
TOLERANCES = (0.0, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)  # pixels


def outline(mask: np.ndarray, max_points: int = MAX_POINTS) -> tuple[np.ndarray, float]:
    """Outline a mask in one ring, simplified just as far as `max_points` asks.

    Args:
        mask: bool [H, W], not empty.
        max_points: most points wanted; a mask of very many parts may need more.

    Returns:
        (points [N, 2] as x, y in pixels, the first not repeated; IoU of the filled outline with the mask).
    """
    part, corner = _around(mask)
    ring = np.empty((0, 2))
    for tolerance in TOLERANCES:
        ring = join_rings(mask_to_polygons(part, tolerance))
        if len(ring) <= max_points:
            break
    return ring + corner, mask_iou(fill(ring, *part.shape), part)


def is_simple(mask: np.ndarray) -> bool:
    """Whether a mask is one piece without holes, so that a plain outline holds it."""
    polygons = mask_to_polygons(_around(mask)[0])
    return len(polygons) == 1 and not polygons[0].interiors


def _around(mask: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """The part of a mask that its outlines can reach, and the (x, y) of its corner."""
    margin = int(max(TOLERANCES)) + 1
    x0, y0, x1, y1 = (int(side) for side in mask_box(mask))
    left, top = max(x0 - margin, 0), max(y0 - margin, 0)
    return mask[top : y1 + margin, left : x1 + margin], (left, top)


def fill(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Fill a ring by the even-odd rule.

    Args:
        points: [N, 2] as x, y in pixels, at least three.
        height: of the mask.
        width: of the mask.

    Returns:
        bool [height, width].
    """
    return polygons_to_mask(Polygon(points), height, width)


def join_rings(polygons: Sequence[Polygon]) -> np.ndarray:
    """Join the rings of polygons into one closed walk.

    Args:
        polygons: not empty; holes and parts survive.

    Returns:
        [N, 2], the first point not repeated.
    """
    rings = []
    for polygon in polygons:
        turned = shapely.geometry.polygon.orient(polygon)  # holes turn the other way
        rings += [np.asarray(r.coords)[:-1, :2] for r in (turned.exterior, *turned.interiors)]
    walk = rings[0]
    for ring in rings[1:]:
        here, there = _nearest(walk, ring)
        # A bridge has a corner, because level and upright edges are filled alike in both directions, to the
        # bit.
        corner = [[ring[there, 0], walk[here, 1]]]
        # … here, over the bridge, once around the ring from `there` to `there`, back over the bridge, here …
        walk = np.concatenate(
            [walk[: here + 1], corner, ring[there:], ring[: there + 1], corner, walk[here:]]
        )
    return walk


def _nearest(a: np.ndarray, b: np.ndarray) -> tuple[int, int]:
    """The indices of the closest pair of points of `a` [N, 2] and `b` [M, 2]."""
    tree = shapely.STRtree(shapely.points(a))
    nearest, distances = tree.query_nearest(shapely.points(b), all_matches=False, return_distance=True)
    best = int(np.argmin(distances))
    return int(nearest[1][best]), int(nearest[0][best])
