"""Remove objects from a photo: fill their dilated masks from the surroundings.

A hole is filled with the piece of the same photo whose surroundings match the hole's best, and the copy's
colours are bent until they meet the hole's edge (a membrane, as in Pérez et al., "Poisson image editing",
SIGGRAPH 2003). Texture survives that way. Where nothing matches, or the hole is tiny, the membrane alone
carries the colours of the edge inwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from toolkit.errors import InputError

TINY = 80  # pixels; smaller holes have no texture to match
SEARCH_SIDE = 640  # pixels; a larger search window is shrunk to this
CANDIDATES = 12
WORST_MATCH = 28.0  # grey levels, root mean square over the ring; beyond it diffusion looks better, …
WORST_TEXTURE = (
    1.4  # … unless the ring itself is rough: two places of one random texture differ by √2 deviations
)
MEMBRANE_PIXELS = 30_000  # larger membranes are solved on a coarser grid


def default_dilation(height: int, width: int) -> int:
    """Dilation in pixels that swallows the soft edge of a mask: 3, or 0.6 % of the longer side."""
    return max(3, round(0.006 * max(height, width)))


def dilate(mask: np.ndarray, radius: int) -> np.ndarray:
    """Grow a mask bool [H, W] by a disc of `radius` pixels."""
    if radius <= 0:
        return mask.copy()
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(mask.astype(np.uint8), disc) > 0


def remove_objects(
    image: np.ndarray, masks: Sequence[np.ndarray], *, dilation: int | None = None
) -> np.ndarray:
    """Remove the masked objects.

    Args:
        image: uint8 [H, W, 3].
        masks: bool [H, W] each; they may overlap.
        dilation: pixels to grow the masks by; None chooses by the size of the photo.

    Returns:
        uint8 [H, W, 3]; pixels outside the dilated masks are those of `image`.

    Raises:
        InputError: a mask of another size, or masks that leave nothing to fill from.
    """
    height, width = image.shape[:2]
    holes = np.zeros((height, width), bool)
    for mask in masks:
        if mask.shape != holes.shape:
            raise InputError(f"mask: expected the photo's size {height} × {width}, got {mask.shape}")
        holes |= mask
    holes = dilate(holes, default_dilation(height, width) if dilation is None else dilation)
    if not holes.any():
        return image.copy()
    if holes.all():
        raise InputError("the masks cover the whole photo: nothing is left to fill from; select less")
    cleaned = image.copy()
    count, labels, stats, _ = cv2.connectedComponentsWithStats(holes.astype(np.uint8), connectivity=8)
    for label in range(1, count):
        x, y, w, h, area = (int(value) for value in stats[label])
        margin = int(np.clip(0.3 * np.sqrt(area), 6, 24))
        rows = slice(max(y - margin, 0), min(y + h + margin, height))
        columns = slice(max(x - margin, 0), min(x + w + margin, width))
        hole = labels[rows, columns] == label
        smooth = _diffuse(image[rows, columns], holes[rows, columns])
        filled = None
        if area >= TINY:
            filled = _fill_from_match(image, holes, hole, smooth, rows.start, columns.start)
        cleaned[rows, columns][hole] = (smooth if filled is None else filled)[hole]
    return cleaned


def _diffuse(window: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """Fill the holes of a window uint8 [h, w, 3] smoothly from their edges."""
    filled = window.copy()
    colours = membrane(window.astype(np.float32), holes, ~holes)[holes]
    filled[holes] = np.clip(np.rint(colours), 0, 255).astype(np.uint8)
    return filled


def _fill_from_match(
    image: np.ndarray, holes: np.ndarray, hole: np.ndarray, smooth: np.ndarray, top: int, left: int
) -> np.ndarray | None:
    """Fill a window's hole from the best matching place of the photo.

    Args:
        image: uint8 [H, W, 3].
        holes: bool [H, W], everything that is being removed: never copied from.
        hole: bool [h, w], the part of the window to fill.
        smooth: uint8 [h, w, 3], the diffused window, which says what colours to expect.
        top: row of the window in the photo.
        left: column of the window in the photo.

    Returns:
        uint8 [h, w, 3], or None where no place matches.
    """
    height, width = hole.shape
    window = image[top : top + height, left : left + width]
    known = ~holes[top : top + height, left : left + width]
    reach = 2 * max(height, width) + 64
    y0, x0 = max(top - reach, 0), max(left - reach, 0)
    area = image[y0 : top + height + reach, x0 : left + width + reach]
    taken = holes[y0 : top + height + reach, x0 : left + width + reach]
    roughness = float(window[known].std()) if known.any() else 0.0
    worst = max(WORST_MATCH, WORST_TEXTURE * roughness) ** 2
    best: tuple[float, np.ndarray] | None = None
    for row, column in _candidates(area, taken, window, known, hole):
        patch = area[row : row + height, column : column + width]
        if taken[row : row + height, column : column + width][hole].any():
            continue
        mismatch = _mean_square(patch, window, known)
        if mismatch > worst:
            continue
        surprise = _mean_square(cv2.blur(patch, (7, 7)), cv2.blur(smooth, (7, 7)), hole)
        # Something stands there, such as a sibling nobody selected: not like the surroundings at all.
        if surprise > (1.5 * roughness + 8) ** 2 or patch[hole].std() > 1.5 * roughness + 4:
            continue
        cost = mismatch + surprise
        if best is None or cost < best[0]:
            best = cost, patch
    if best is None:
        return None
    return _meet_edges(best[1], window, hole, known)


def _mean_square(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float:
    return float(np.mean((a[where].astype(np.float32) - b[where]) ** 2)) if where.any() else 0.0


def _candidates(
    area: np.ndarray, taken: np.ndarray, window: np.ndarray, known: np.ndarray, hole: np.ndarray
) -> list[tuple[int, int]]:
    """Rows and columns in `area` whose surroundings match the window's known pixels, best first."""
    scale = min(1.0, SEARCH_SIDE / max(area.shape[:2]))

    def shrink(array: np.ndarray) -> np.ndarray:
        size = (max(1, round(array.shape[1] * scale)), max(1, round(array.shape[0] * scale)))
        return cv2.resize(array.astype(np.float32), size, interpolation=cv2.INTER_AREA)

    small, template = shrink(area), shrink(window)
    ring, inside = (shrink(known) > 0.99).astype(np.float32), (shrink(hole) > 0).astype(np.float32)
    if not ring.any() or template.shape[0] > small.shape[0] or template.shape[1] > small.shape[1]:
        return []
    cost = cv2.matchTemplate(small, template, cv2.TM_SQDIFF, mask=np.repeat(ring[..., None], 3, axis=2))
    overlap = cv2.matchTemplate((shrink(taken) > 0).astype(np.float32), inside, cv2.TM_CCORR)
    cost = np.where(overlap < 0.5, cost, np.inf)
    found = []
    apart = max(2, min(template.shape[:2]) // 6)
    for _ in range(CANDIDATES):
        row, column = np.unravel_index(int(np.argmin(cost)), cost.shape)
        if not np.isfinite(cost[row, column]):
            break
        cost[max(row - apart, 0) : row + apart + 1, max(column - apart, 0) : column + apart + 1] = np.inf
        found.append(
            (
                min(round(row / scale), area.shape[0] - window.shape[0]),
                min(round(column / scale), area.shape[1] - window.shape[1]),
            )
        )
    return found


def _meet_edges(patch: np.ndarray, window: np.ndarray, hole: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Bend the colours of a patch uint8 [h, w, 3] until they equal the window's around the hole."""
    correction = membrane(window.astype(np.float32) - patch, hole, known)
    return np.clip(np.rint(patch + correction), 0, 255).astype(np.uint8)


def membrane(values: np.ndarray, hole: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Solve Laplace's equation in a hole with the values around it fixed.

    Args:
        values: float32 [h, w, C]; used where `known`.
        hole: bool [h, w], where to solve.
        known: bool [h, w]; neighbours that are neither known nor in the hole, or outside, exert no pull.

    Returns:
        float32 [h, w, C]: the solution in the hole, 0 elsewhere; 0 too where the hole touches nothing known.
    """
    if np.count_nonzero(hole) > MEMBRANE_PIXELS:
        return _coarse_membrane(values, hole, known)
    height, width = hole.shape
    solution = np.zeros(values.shape, np.float32)
    index = np.full((height + 2, width + 2), -1)
    index[1:-1, 1:-1][hole] = np.arange(np.count_nonzero(hole))
    outside = np.pad(known & ~hole, 1)
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)))
    rows, columns = np.nonzero(index >= 0)
    size = len(rows)
    # A faint pull towards 0 keeps the system solvable for a hole that touches nothing known.
    diagonal = np.full(size, 1e-6)
    right = np.zeros((size, values.shape[2]))
    neighbours: list[tuple[np.ndarray, np.ndarray]] = []
    for down, across in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        at = rows + down, columns + across
        other, fixed = index[at], outside[at]
        diagonal += (other >= 0) | fixed
        right[fixed] += padded[at][fixed]
        neighbours.append((np.flatnonzero(other >= 0), other[other >= 0]))
    i = np.concatenate([np.arange(size), *(pair[0] for pair in neighbours)])
    j = np.concatenate([np.arange(size), *(pair[1] for pair in neighbours)])
    weights = np.concatenate([diagonal, np.full(len(i) - size, -1.0)])
    system = sparse.csc_matrix((weights, (i, j)), shape=(size, size))
    solution[hole] = splu(system).solve(right).astype(np.float32)
    return solution


def _coarse_membrane(values: np.ndarray, hole: np.ndarray, known: np.ndarray) -> np.ndarray:
    """`membrane` at half the resolution, scaled up: the solution is smooth away from the edge."""
    height, width = hole.shape
    half = (max(width // 2, 1), max(height // 2, 1))
    weight = cv2.resize(known.astype(np.float32), half, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(values * known[..., None], half, interpolation=cv2.INTER_AREA)
    mean = mean.reshape((*weight.shape, -1)) / np.maximum(weight, 1e-6)[..., None]
    small_hole = cv2.resize(hole.astype(np.float32), half, interpolation=cv2.INTER_AREA) > 0
    small_known = (weight > 0) & ~small_hole
    small = membrane(mean, small_hole, small_known)
    small[small_known] = mean[small_known]
    solution = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).reshape(values.shape)
    solution[~hole] = 0
    return solution
