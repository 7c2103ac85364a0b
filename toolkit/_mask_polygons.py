"""Outline a mask along the edges of its pixels, and fill outlines again: exact in both directions."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import shapely
from shapely import MultiPolygon, Polygon

from toolkit.errors import InputError

Ring = list[tuple[int, int]]


def mask_to_polygons(mask: np.ndarray, tolerance: float = 0.0) -> list[Polygon]:
    """Outline a mask: one polygon with its holes for each part connected by pixel edges.

    Parts that touch only at a corner become separate polygons. With `tolerance` 0 the outlines follow the
    pixel edges, and `polygons_to_mask` gives back the same mask. Polygons are valid, whatever the tolerance.

    Args:
        mask: bool [H, W].
        tolerance: how far, in pixels, a simplified outline may stray from the exact one; a part that
            simplification would break keeps its exact outline.

    Returns:
        Polygons from top to bottom, in pixel coordinates: pixel (0, 0) covers [0, 1] × [0, 1], y runs down.

    Raises:
        InputError: the mask is not two-dimensional, or the tolerance is negative.
    """
    if mask.ndim != 2:
        raise InputError(f"a mask has the shape [H, W], not {mask.shape}")
    if not tolerance >= 0:
        raise InputError(f"tolerance is a distance in pixels, 0 or more, not {tolerance}")
    binary = np.ascontiguousarray(mask, dtype=bool).view(np.uint8)
    left, top, width, height = cv2.boundingRect(binary)
    if width == 0:
        return []
    cut = binary[top : top + height, left : left + width]
    polygons = _assemble(_rings(cut), cut)
    if left or top:
        polygons = list(shapely.transform(polygons, lambda points: np.add(points, (left, top))))
    if tolerance > 0:
        polygons = [_simplify(polygon, tolerance) for polygon in polygons]
    return polygons


def polygons_to_mask(
    polygons: Polygon | MultiPolygon | Iterable[Polygon], height: int, width: int
) -> np.ndarray:
    """Fill polygons: a pixel is set where its centre lies inside one of them. What lies outside is cut off.

    Args:
        polygons: one polygon, a multi-polygon or several polygons, in pixel coordinates; they may overlap.
        height: of the mask.
        width: of the mask.

    Returns:
        bool [height, width].

    Raises:
        InputError: a coordinate is not a finite number.
    """
    mask = np.zeros((height, width), dtype=bool)
    for part in [polygons] if isinstance(polygons, (Polygon, MultiPolygon)) else polygons:
        for polygon in part.geoms if isinstance(part, MultiPolygon) else [part]:
            if polygon.is_empty:
                continue
            rings = [np.asarray(ring.coords)[:, :2] for ring in (polygon.exterior, *polygon.interiors)]
            if not all(np.isfinite(ring).all() for ring in rings):
                raise InputError(
                    "a polygon has a coordinate that is not a finite number; remove or repair it"
                )
            _fill(rings, mask)
    return mask


def _rings(binary: np.ndarray) -> list[tuple[Ring, tuple[int, int]]]:
    """Trace the boundary of a mask as closed rings of corners.

    Corners are found for the whole mask at once. In a row of the pixel lattice, corners in order of x are by
    turns the starts and ends of horizontal edges, and likewise in a column. So each corner knows its two
    neighbours, and a ring is a walk along them with the mask on the right.

    Args:
        binary: uint8 [H, W], 0 and 1.

    Returns:
        (corners as (x, y), a mask pixel (row, column) beside the ring) for each ring. No ring meets itself.
    """
    padded = np.pad(binary, 1)
    nw, ne, sw, se = padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    crossing = (nw == se) & (ne == sw) & (nw != ne)  # two pixels touch at this corner only
    ys, xs = np.divmod(np.flatnonzero((nw ^ ne ^ sw ^ se).view(bool) | crossing), nw.shape[1])
    # A crossing is two corners in one place: the first ends the edge from the west, the second starts the one
    # to the east. Each stays with its own pixel, so parts that touch at a corner are outlined apart.
    twice = crossing[ys, xs]
    repeats = 1 + twice
    x, y, twice = np.repeat(xs, repeats), np.repeat(ys, repeats), np.repeat(twice, repeats)
    count = len(x)
    second = np.zeros(count, dtype=bool)
    second[1:] = twice[1:] & (x[1:] == x[:-1]) & (y[1:] == y[:-1])
    southern = twice & (second == (nw[y, x] == 1))  # the corner of a crossing whose vertical edge leads south

    index = np.arange(count)
    across = index ^ 1  # the other end of the horizontal edge
    by_column = np.lexsort((southern, y, x))
    along = np.empty(count, dtype=np.int64)  # the other end of the vertical edge
    along[by_column] = by_column[index ^ 1]
    western = index % 2 == 0
    # With the mask on the right, top edges are walked eastwards and bottom edges westwards.
    west_end = np.where(western, index, across)
    is_top_edge = se[y[west_end], x[west_end]] == 1
    following = np.where(western == is_top_edge, across, along).tolist()

    corners = list(zip(x.tolist(), y.tolist(), strict=True))
    crossings = set(np.flatnonzero(twice).tolist())
    seen = bytearray(count)
    rings = []
    for start in range(0, count, 2):
        if seen[start]:
            continue
        path = []
        node = start
        while not seen[node]:
            seen[node] = 1
            path.append(node)
            node = following[node]
        column, row = corners[start]
        beside = (row if is_top_edge[start] else row - 1, column)
        for loop in _without_crossings(path, corners, crossings) if crossings else [path]:
            rings.append(([corners[node] for node in loop], beside))
    return rings


def _without_crossings(path: list[int], corners: Ring, crossings: set[int]) -> list[list[int]]:
    """Cut a closed path into loops where it comes to the same place twice."""
    loops: list[list[int]] = []
    open_path: list[int] = []
    places: dict[tuple[int, int], int] = {}  # crossing → its position on the open path
    for node in path:
        if node in crossings:
            place = corners[node]
            begin = places.get(place)
            if begin is not None and begin < len(open_path) and corners[open_path[begin]] == place:
                loops.append(open_path[begin:])
                del open_path[begin:]
            places[place] = len(open_path)
        open_path.append(node)
    loops.append(open_path)
    return loops


def _assemble(rings: list[tuple[Ring, tuple[int, int]]], binary: np.ndarray) -> list[Polygon]:
    """Put the holes into the parts they belong to."""
    parts = [_signed_area(ring) > 0 for ring, _ in rings]
    if sum(parts) == 1:
        shell = parts.index(True)
        return [Polygon(rings[shell][0], [ring for ring, _ in rings[:shell] + rings[shell + 1 :]])]
    _, labels = cv2.connectedComponents(binary, connectivity=4)
    shells: dict[int, Ring] = {}
    holes: dict[int, list[Ring]] = {}
    for (ring, beside), is_part in zip(rings, parts, strict=True):
        label = int(labels[beside])
        if is_part:
            shells[label] = ring
        else:
            holes.setdefault(label, []).append(ring)
    return [Polygon(shell, holes.get(label)) for label, shell in shells.items()]


def _signed_area(ring: Ring) -> int:
    """Return the area inside a ring of corners: positive when the inside is on the right hand (y down)."""
    # Edges are horizontal and vertical by turns, and only vertical ones add to the integral of x over dy.
    return sum(x * (below - y) for (x, y), (_, below) in zip(ring, ring[1:] + ring[:1], strict=True))


def _simplify(polygon: Polygon, tolerance: float) -> Polygon:
    """Simplify an outline; keep the exact one where the result would not be one valid polygon."""
    simple = polygon.simplify(tolerance, preserve_topology=True)
    if isinstance(simple, Polygon) and not simple.is_empty and simple.is_valid:
        return simple
    return polygon


def _fill(rings: list[np.ndarray], mask: np.ndarray) -> None:
    """Set the pixels of `mask` whose centres lie inside the rings, by the even-odd rule.

    Each edge switches the pixels to its right, in every row whose centre line it crosses; running sums along
    the rows do the rest.

    Args:
        rings: float [N, 2] each, closed.
        mask: bool [H, W], changed in place.
    """
    height, width = mask.shape
    start = np.concatenate([ring[:-1] for ring in rings])
    end = np.concatenate([ring[1:] for ring in rings])
    # Row r is crossed when r + 0.5 lies between the ends of the edge (the upper one included).
    first, last = np.ceil(np.stack([start[:, 1], end[:, 1]]) - 0.5).clip(0, height).astype(np.int64)
    rows_per_edge = np.abs(last - first)
    edge = np.repeat(np.arange(len(start)), rows_per_edge)
    if not len(edge):
        return
    before = np.cumsum(rows_per_edge) - rows_per_edge
    row = np.minimum(first, last)[edge] + np.arange(len(edge)) - before[edge]
    slope = (end[edge, 0] - start[edge, 0]) / (end[edge, 1] - start[edge, 1])
    x = start[edge, 0] + (row + 0.5 - start[edge, 1]) * slope
    column = np.ceil(x - 0.5).clip(0, width).astype(np.int64)
    top, left = row.min(), column.min()
    rows, columns = row.max() - top + 1, column.max() - left  # switching at the right border sets nothing
    if columns == 0:
        return
    switches = np.zeros((rows, columns + 1), dtype=np.uint8)  # may wrap at 256: only odd or even matters
    np.add.at(switches, (row - top, column - left), 1)
    inside = np.cumsum(switches[:, :-1], axis=1, dtype=np.uint8) & 1
    mask[top : top + rows, left : left + columns] |= inside.view(bool)
