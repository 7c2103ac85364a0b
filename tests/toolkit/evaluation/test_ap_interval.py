from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.cocoeval import COCOeval

from tests.toolkit.evaluation.test_coco_ap import random_queries
from toolkit.evaluation.ap_interval import MatchedDetections, ap_intervals
from toolkit.evaluation.coco_ap import Query, as_coco, measure_precision_recall

RECALLS = np.linspace(0, 1, 101)


def cocoeval(queries: Sequence[Query]) -> COCOeval:
    evaluation = COCOeval(*as_coco(queries), "segm")
    evaluation.params.maxDets = [100]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
    return evaluation


def matched(queries: Sequence[Query]) -> MatchedDetections:
    evaluation = cocoeval(queries)
    return MatchedDetections(evaluation.evalImgs[: len(queries)], [query.photo for query in queries])


def photo(right: Sequence[float], wrong: Sequence[float], missed: int = 0) -> dict:
    """An image as COCOeval leaves it, at one threshold: scores of right and of wrong detections."""
    return {
        "dtScores": [*right, *wrong],
        "dtMatches": [[*range(1, len(right) + 1), *(0 for _ in wrong)]],
        "dtIgnore": [[False] * (len(right) + len(wrong))],
        "gtIgnore": [0] * (len(right) + missed),
    }


def test_ap_and_ar_by_hand() -> None:
    found = MatchedDetections([photo([0.9], [0.5]), photo([0.4], [], missed=1)], [0, 1])
    # right, wrong, right of 3 truths: precision 1 up to recall 1/3 (34 points), 2/3 up to 2/3 (33 more)
    ap, ar = found.precision_recall(np.array([1, 1]), RECALLS) or (0, 0)
    assert ap == pytest.approx((34 + 33 * 2 / 3) / 101)
    assert ar == pytest.approx(2 / 3)
    # the second photo twice: right, wrong, right, right of 5: 1 up to 0.2, 3/4 up to 0.6
    ap, ar = found.precision_recall(np.array([1, 2]), RECALLS) or (0, 0)
    assert ap == pytest.approx((21 + 40 * 3 / 4) / 101)
    assert ar == pytest.approx(3 / 5)


def test_what_matched_a_crowd_counts_neither_way() -> None:
    crowd = photo([0.9], [])
    crowd["gtIgnore"], crowd["dtIgnore"] = [1], [[True]]
    found = MatchedDetections([crowd, photo([0.5], []), None], [0, 1, 2])
    assert found.precision_recall(np.array([1, 1, 1]), RECALLS) == (1.0, 1.0)
    assert found.precision_recall(np.array([2, 0, 1]), RECALLS) is None


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 3), min_size=12, max_size=12))
def test_photos_drawn_several_times_score_as_cocoeval_scores_copies_of_them(
    seed: int, times: list[int]
) -> None:
    queries = [replace(query, photo=n) for n, query in enumerate(random_queries(np.random.default_rng(seed)))]
    copies = [query for query, count in zip(queries, times, strict=True) for _ in range(count)]
    expected = measure_precision_recall(copies).figures
    found = matched(queries).precision_recall(np.array(times), RECALLS)
    if expected["ap"] is None:
        assert found is None
    else:
        assert found == pytest.approx((expected["ap"], expected["ar"]))


def test_the_interval_holds_the_figure_and_shrinks_with_more_photos() -> None:
    def width(count: int) -> float:
        queries: list[Query] = []
        for seed in range(count):
            queries += [replace(one, photo=seed) for one in random_queries(np.random.default_rng(seed))]
        figures = measure_precision_recall(queries, bootstrap=0).figures
        assert figures["ap_ci_low"] < figures["ap"] < figures["ap_ci_high"]
        assert figures["ar_ci_low"] < figures["ar"] < figures["ar_ci_high"]
        return figures["ap_ci_high"] - figures["ap_ci_low"]

    # a quarter of the variance, half of the width
    assert width(32) == pytest.approx(width(8) / 2, rel=0.5)


def test_two_photos_by_hand() -> None:
    found = MatchedDetections([photo([0.9], []), photo([], [], missed=1)], [0, 1])
    # one of four draws takes the first twice (AP 1), one the second (0), two take both (51 of 101 points)
    assert ap_intervals(found, RECALLS) == ((0.0, 1.0), (0.0, 1.0))
    middle = ap_intervals(found, RECALLS, level=0.4)
    assert middle is not None
    assert middle[0] == pytest.approx((51 / 101, 51 / 101))
    assert middle[1] == pytest.approx((0.5, 0.5))


def test_one_photo_has_no_interval() -> None:
    assert ap_intervals(MatchedDetections([photo([0.9], [])] * 2, [0, 0]), RECALLS) is None
    assert ap_intervals(MatchedDetections([], []), RECALLS) is None
