from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from toolkit.evaluation.curves import precision_recall, roc

DECISIONS = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30)


def test_precision_and_recall_by_hand() -> None:
    curve = precision_recall([0.9, 0.8, 0.8, 0.3], [True, False, True, False], positives=4)
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.3]  # equal scores are one point
    assert curve.x.tolist() == [0.25, 0.5, 0.5]
    assert curve.y.tolist() == pytest.approx([1, 2 / 3, 0.5])
    assert curve.area == pytest.approx(0.25 * 1 + 0.25 * 2 / 3)


def test_roc_by_hand() -> None:
    curve = roc([0.9, 0.7, 0.5, 0.1], [True, False, True, False])
    assert curve.x.tolist() == [0, 0.5, 0.5, 1]
    assert curve.y.tolist() == [0.5, 0.5, 1, 1]
    assert curve.area == pytest.approx(0.75)  # of 4 pairs of a positive and a negative, 3 in the right order


def test_nothing_to_measure() -> None:
    assert precision_recall([], [], 0).area is None
    assert precision_recall([], [], 3).area == 0
    assert roc([0.5], [True]).area is None
    assert roc([], []).area is None


@given(DECISIONS)
def test_areas_as_scikit_learn_computes_them(decisions: list[tuple[int, bool]]) -> None:
    scores = np.array([score for score, _ in decisions])
    right = np.array([hit for _, hit in decisions])
    if right.any():
        area = precision_recall(scores, right, int(right.sum())).area
        assert area == pytest.approx(average_precision_score(right, scores))
    if right.any() and not right.all():
        assert roc(scores, right).area == pytest.approx(roc_auc_score(right, scores))
