"""How sure AP and AR are: a bootstrap over photos of what COCOeval matched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.metrics import bootstrap_figures

Interval = tuple[float, float]


class MatchedDetections:
    """The detections that COCOeval matched, the best score first, and the photo of each.

    Args:
        images: COCOeval's ``evalImgs`` of one category and range of areas, None where an image holds nothing.
        photos: the photo that each of them belongs to, numbers from 0.

    Attributes:
        right: bool [T, D], matched to a truth that counts, at each IoU threshold.
        wrong: bool [T, D], matched to nothing; what matched a truth that does not count is neither.
        photo: int [D].
        truths: int [photos], how many truths count in each photo.
    """

    def __init__(self, images: Sequence[Mapping[str, Any] | None], photos: Sequence[int]) -> None:
        held = [(image, photo) for image, photo in zip(images, photos, strict=True) if image is not None]
        self.truths = np.zeros(max(photos, default=-1) + 1, np.int64)
        for image, photo in held:
            self.truths[photo] += int(np.count_nonzero(np.asarray(image["gtIgnore"]) == 0))
        scores = np.concatenate(
            [np.asarray(image["dtScores"], np.float64) for image, _ in held] or [np.zeros(0)]
        )
        order = np.argsort(-scores, kind="stable")
        matched = _side_by_side(held, "dtMatches")[:, order] > 0  # [T, D]
        ignored = _side_by_side(held, "dtIgnore")[:, order] > 0  # [T, D]
        self.right, self.wrong = matched & ~ignored, ~matched & ~ignored
        self.photo = np.repeat([photo for _, photo in held], [len(image["dtScores"]) for image, _ in held])[
            order
        ]

    def precision_recall(self, times: np.ndarray, recalls: np.ndarray) -> tuple[float, float] | None:
        """AP and AR where each photo was drawn so many times.

        Args:
            times: int [photos].
            recalls: float [R], where the precision is read: COCOeval's ``params.recThrs``.

        Returns:
            (AP, AR), as ``COCOeval.accumulate`` finds them; None where no truth counts.
        """
        truths = int(self.truths @ times)
        if truths == 0:
            return None
        weight = times[self.photo]  # [D]
        right = np.cumsum(self.right * weight, axis=1, dtype=np.float64)  # [T, D]
        wrong = np.cumsum(self.wrong * weight, axis=1, dtype=np.float64)  # [T, D]
        recall = right / truths
        precision = right / np.maximum(right + wrong, 1)
        # The best precision at this recall or a higher one.
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        precision = np.concatenate([precision, np.zeros((len(precision), 1))], axis=1)  # [T, D + 1]
        places = [np.searchsorted(row, recalls, side="left") for row in recall]
        average = np.mean([row[place] for row, place in zip(precision, places, strict=True)])
        return float(average), float(recall[:, -1].mean()) if recall.shape[1] else 0.0


def _side_by_side(held: Sequence[tuple[Mapping[str, Any], int]], name: str) -> np.ndarray:
    """COCOeval's tables [T, detections of an image] of all images: [T, D]."""
    return np.concatenate([np.asarray(image[name]) for image, _ in held] or [np.zeros((1, 0))], axis=1)


def ap_intervals(
    matched: MatchedDetections,
    recalls: np.ndarray,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[Interval, Interval] | None:
    """Percentile bootstrap intervals of AP and AR; photos are what is drawn.

    Args:
        matched: what COCOeval matched.
        recalls: float [R], where the precision is read: COCOeval's ``params.recThrs``.
        level: of the intervals.
        resamples: how many draws.
        seed: of the draws.

    Returns:
        ((low, high) of AP, of AR); None where fewer than two photos hold anything.
    """
    holding = np.union1d(np.flatnonzero(matched.truths), matched.photo)
    if len(holding) < 2:
        return None

    def measure(times: np.ndarray) -> dict[str, float]:
        drawn = np.zeros(len(matched.truths), np.int64)
        drawn[holding] = times
        found = matched.precision_recall(drawn, recalls)
        return {} if found is None else {"ap": found[0], "ar": found[1]}

    found = bootstrap_figures(len(holding), measure, level=level, resamples=resamples, seed=seed)
    return (found["ap"], found["ar"]) if found else None
