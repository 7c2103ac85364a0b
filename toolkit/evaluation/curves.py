"""Precision, recall and ROC curves of scored decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Curve:
    """A curve of one point per different score, from the highest to the lowest.

    Attributes:
        x: float [K]: recall, or the false positive rate.
        y: float [K]: precision, or the true positive rate.
        thresholds: float [K]: what scores at least this counts as yes.
        area: under the curve; None where it has no meaning.
    """

    x: np.ndarray
    y: np.ndarray
    thresholds: np.ndarray
    area: float | None


def precision_recall(
    scores: Sequence[float] | np.ndarray, right: Sequence[bool] | np.ndarray, positives: int
) -> Curve:
    """Return precision over recall; the area is Σ (R_k − R_k−1) · P_k, without interpolation.

    Args:
        scores: of what was said to be positive.
        right: whether it is; one per score.
        positives: how many there are in all, found or not. Without any the area is None.
    """
    thresholds, hits, count = _cumulated(scores, right)
    precision = hits / np.maximum(count, 1)
    recall = hits / max(positives, 1)
    area = float(np.sum(np.diff(recall, prepend=0.0) * precision)) if positives else None
    return Curve(recall, precision, thresholds, area)


def roc(scores: Sequence[float] | np.ndarray, positive: Sequence[bool] | np.ndarray) -> Curve:
    """Return the true positive rate over the false positive rate; the area by trapezoids from (0, 0).

    Args:
        scores: of every pair.
        positive: whether it is one; one per score. With only one kind the area is None.
    """
    thresholds, hits, count = _cumulated(scores, positive)
    total, wrong = int(np.sum(positive)), int(np.sum(~np.asarray(positive, bool)))
    x, y = (count - hits) / max(wrong, 1), hits / max(total, 1)
    x0, y0 = np.concatenate([[0.0], x]), np.concatenate([[0.0], y])
    area = float(np.sum(np.diff(x0) * (y0[1:] + y0[:-1]) / 2)) if total and wrong else None
    return Curve(x, y, thresholds, area)


def _cumulated(
    scores: Sequence[float] | np.ndarray, right: Sequence[bool] | np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return different scores from high to low, and how many right ones and how many in all reach each."""
    values, hit = np.asarray(scores, np.float64), np.asarray(right, bool)
    order = np.argsort(-values, kind="stable")
    values, hit = values[order], hit[order]
    last = np.flatnonzero(np.diff(values, append=-np.inf) != 0)  # the last of each run of equal scores
    return values[last], np.cumsum(hit)[last], last + 1
