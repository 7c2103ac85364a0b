"""What proposing without a click needs: a grid, duplicates left out, groups by similarity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toolkit.selection import Instance

DUPLICATE_OVERLAP = 0.6
GROUP_SIMILARITY = 0.5  # SimpSON, section 3.3


def grid_points(height: int, width: int, spacing: int) -> list[tuple[float, float]]:
    """(x, y) of an even grid over ``height`` × ``width`` pixels; at least one point."""
    rows, columns = max(round(height / spacing), 1), max(round(width / spacing), 1)
    ys = (np.arange(rows) + 0.5) * height / rows
    xs = (np.arange(columns) + 0.5) * width / columns
    return [(float(x), float(y)) for y in ys for x in xs]


def without_duplicates(masks: Sequence[np.ndarray], limit: int) -> list[int]:
    """Indices of masks (bool ``[H, W]``, best first) that neither lie in a better one nor hold it.

    Empty ones are left out.
    """
    kept: list[int] = []
    areas = [int(mask.sum()) for mask in masks]
    for index, mask in enumerate(masks):
        if len(kept) == limit:
            break
        if areas[index] and all(
            (mask & masks[other]).sum() <= DUPLICATE_OVERLAP * min(areas[index], areas[other])
            for other in kept
        ):
            kept.append(index)
    return kept


def group_by_similarity(similarity: np.ndarray) -> list[int]:
    """Group labels 0, 1, … by average-linkage clustering of similarities ``[N, N]`` (0–1)."""
    count = len(similarity)
    if count < 2:
        return [0] * count
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    distance = 1 - (similarity + similarity.T) / 2
    np.fill_diagonal(distance, 0)
    clusters = fcluster(
        linkage(squareform(distance, checks=False), "average"), 1 - GROUP_SIMILARITY, "distance"
    )
    return [int(cluster) - 1 for cluster in clusters]


def in_groups(grouped: Sequence[tuple[Instance, int]]) -> list[Instance]:
    """Number groups from 0, the largest first, and sort instances by group and score."""
    labels = [label for _, label in grouped]
    order = sorted(set(labels), key=lambda label: (-labels.count(label), label))
    numbers = {label: number for number, label in enumerate(order)}
    instances = [Instance(i.mask, i.box, i.score, i.click, numbers[label]) for i, label in grouped]
    return sorted(instances, key=lambda i: (i.group or 0, -i.score))
