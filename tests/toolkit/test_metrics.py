from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.helpers.systems import box_mask
from toolkit.masks import mask_to_rle
from toolkit.metrics import bootstrap_figures, bootstrap_ratio, match_greedily, mean_by_size, size_of


def test_sizes_at_their_bounds() -> None:
    assert [size_of(area) for area in (1, 1023.9, 1024, 9215.9, 9216)] == [
        "small", "small", "medium", "medium", "large",
    ]  # fmt: skip


def test_mean_by_size_by_hand() -> None:
    means = mean_by_size([1.0, 0.5, 0.0, 0.25], [100, 900, 2000, 5000])
    assert means == {"all": 0.4375, "small": 0.75, "medium": 0.125, "large": None}
    assert mean_by_size([], []) == {"all": None, "small": None, "medium": None, "large": None}


def test_bootstrap_of_two_photos_reaches_both_ends() -> None:
    assert bootstrap_ratio([0, 1], [1, 1]) == (0.0, 1.0)


def test_bootstrap_of_equal_photos_is_a_point() -> None:
    assert bootstrap_ratio([1, 2, 3], [2, 4, 6]) == (0.5, 0.5)


def test_bootstrap_needs_two_photos_with_objects() -> None:
    assert bootstrap_ratio([1, 0], [2, 0]) is None


def test_bootstrap_agrees_with_scipy_on_a_mean(rng: np.random.Generator) -> None:
    values = rng.beta(2, 5, size=200)
    low, high = bootstrap_ratio(values, np.ones(200), seed=1)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=rng)
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert low == pytest.approx(theirs.confidence_interval.low, abs=0.1 * width)
    assert high == pytest.approx(theirs.confidence_interval.high, abs=0.1 * width)


def test_objects_of_one_photo_are_drawn_together() -> None:
    """Ten photos of 20 equal objects say no more than ten objects do."""
    per_photo = np.array([0, 1] * 5, float)
    together = bootstrap_ratio(20 * per_photo, np.full(10, 20.0), seed=3)
    assert together == bootstrap_ratio(per_photo, np.ones(10), seed=3)


def rles(*boxes: tuple[int, int, int, int]) -> list[dict]:
    return [mask_to_rle(box_mask(*box)) for box in boxes]


def test_the_best_score_chooses_first() -> None:
    truths = rles((0, 0, 10, 10))
    # IoU 1 with the lower score, 0.5 with the higher: the higher takes the truth
    assert match_greedily(rles((0, 0, 10, 10), (0, 0, 10, 5)), [0.1, 0.9], truths) == [None, 0]


def test_a_detection_takes_the_truth_it_overlaps_most() -> None:
    truths = rles((0, 0, 10, 6), (0, 0, 10, 10))
    assert match_greedily(rles((0, 0, 10, 9), (0, 0, 10, 6)), [0.9, 0.8], truths) == [1, 0]


def test_less_than_half_is_no_match() -> None:
    truths = rles((0, 0, 10, 10))
    assert match_greedily(rles((0, 0, 10, 5)), [0.5], truths) == [0]
    assert match_greedily(rles((0, 0, 10, 4)), [0.5], truths) == [None]
    assert match_greedily([], [], truths) == []
    assert match_greedily(rles((0, 0, 1, 1)), [1.0], []) == [None]


def test_bootstrap_of_several_figures() -> None:
    values = np.array([0.0, 1.0])

    def measure(times: np.ndarray) -> dict[str, float | None]:
        both = times[0] == 1
        return {"mean": float(times @ values / 2), "both": 7.0 if both else None, "never": None}

    # drawn are both photos in one half of the cases, the first twice or the second twice in a quarter each
    found = bootstrap_figures(2, measure)
    assert found == {"mean": (0.0, 1.0), "both": (7.0, 7.0)}
    assert bootstrap_figures(2, measure, level=0.4)["mean"] == (0.5, 0.5)
    rng = np.random.default_rng(0)
    sample = rng.normal(size=200)
    low, high = bootstrap_figures(200, lambda times: {"mean": float(times @ sample) / 200})["mean"]
    error = float(sample.std() / np.sqrt(200))
    assert (low, high) == pytest.approx(
        (sample.mean() - 1.96 * error, sample.mean() + 1.96 * error), abs=0.02
    )
