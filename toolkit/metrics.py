"""Figures of merit: mean IoU by size, matches between masks and truths, how sure a mean is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.masks import rle_iou

# COCO's bounds, in pixels of the annotation's `area` (https://cocodataset.org/#detection-eval).
SMALL_AREA = 32**2
LARGE_AREA = 96**2
SIZES = ("small", "medium", "large")

_RESAMPLES_AT_ONCE = 256


def size_of(area: float) -> str:
    """Return "small" below 32² pixels, "medium" below 96², else "large"."""
    if area < SMALL_AREA:
        return "small"
    return "medium" if area < LARGE_AREA else "large"


def mean(values: Sequence[float] | np.ndarray) -> float | None:
    """Return the mean; None of nothing."""
    return float(np.mean(values)) if len(values) else None


def mean_by_size(values: Sequence[float], areas: Sequence[float]) -> dict[str, float | None]:
    """Return the mean of all values under "all" and of each size under its name; None where there is none.

    Args:
        values: one per object, such as IoU.
        areas: of the same objects, in pixels.
    """
    sizes = [size_of(area) for area in areas]
    by_size = {
        name: mean([value for value, size in zip(values, sizes, strict=True) if size == name])
        for name in SIZES
    }
    return {"all": mean(values), **by_size}


def bootstrap_ratio(
    numerators: Sequence[float],
    denominators: Sequence[float],
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Return the percentile bootstrap interval of sum(numerators) / sum(denominators).

    The pairs are what is drawn: one per photo, so that objects of one photo, which succeed and fail
    together, are not taken for independent ones. A mean over objects has the sums of a photo's values and
    their count.

    Returns:
        (low, high); None where fewer than two pairs have anything to count.

    Source: B. Efron, "Bootstrap methods: another look at the jackknife", 1979.
    """
    above, below = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    above, below = above[below > 0], below[below > 0]
    count = len(below)
    if count < 2:
        return None
    rng = np.random.default_rng(seed)
    ratios: list[np.ndarray] = []
    for start in range(0, resamples, _RESAMPLES_AT_ONCE):
        rows = min(_RESAMPLES_AT_ONCE, resamples - start)
        times = rng.multinomial(count, np.full(count, 1 / count), size=rows)  # [rows, count]
        ratios.append((times @ above) / (times @ below))
    low, high = np.quantile(np.concatenate(ratios), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_figures(
    count: int,
    measure: Callable[[np.ndarray], Mapping[str, float | None]],
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Return the percentile bootstrap interval of each of some figures.

    Args:
        count: of photos, which are what is drawn.
        measure: the figures where each photo was drawn so many times, int [count]; None where there is none.
        level: of the intervals.
        resamples: how many draws.
        seed: of the draws.

    Returns:
        (low, high) of each figure that any draw has; draws without it do not count.

    Source: B. Efron, "Bootstrap methods: another look at the jackknife", 1979.
    """
    rng = np.random.default_rng(seed)
    draws: dict[str, list[float]] = {}
    for _ in range(resamples):
        for name, value in measure(rng.multinomial(count, np.full(count, 1 / count))).items():
            if value is not None:
                draws.setdefault(name, []).append(value)
    tails = [(1 - level) / 2, (1 + level) / 2]
    found = {name: np.quantile(values, tails) for name, values in draws.items()}
    return {name: (float(low), float(high)) for name, (low, high) in found.items()}


def match_greedily(
    detections: Sequence[Mapping[str, Any]],
    scores: Sequence[float],
    truths: Sequence[Mapping[str, Any]],
    threshold: float = 0.5,
) -> list[int | None]:
    """Match masks to truths, the best score first, each to the free truth it overlaps most.

    Args:
        detections: RLE masks.
        scores: one per detection.
        truths: RLE masks of the same photo.
        threshold: least IoU of a match.

    Returns:
        Per detection the index of its truth, or None.
    """
    overlaps = rle_iou(detections, truths)  # [D, T]
    matches: list[int | None] = [None] * len(detections)
    for index in np.argsort(-np.asarray(scores, np.float64), kind="stable"):
        if not len(truths):
            break
        best = int(np.argmax(overlaps[index]))
        if overlaps[index, best] >= threshold:
            matches[index] = best
            overlaps[:, best] = -1.0
    return matches
