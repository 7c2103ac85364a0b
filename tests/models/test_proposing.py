"""Grids, duplicates and groups, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.proposing import grid_points, group_by_similarity, without_duplicates


def test_grid_points_lie_in_the_middle_of_equal_parts() -> None:
    assert grid_points(100, 200, 48) == [(x, y) for y in (25, 75) for x in (25, 75, 125, 175)]
    assert grid_points(10, 100, 48) == [(25, 5), (75, 5)]
    assert grid_points(1, 1, 48) == [(0.5, 0.5)]


def box(x: int, width: int) -> np.ndarray:
    mask = np.zeros((10, 100), bool)
    mask[:, x : x + width] = True
    return mask


def test_duplicates_lie_in_a_better_mask_or_hold_it() -> None:
    masks = [box(20, 20), box(25, 10), box(10, 50), box(28, 20), box(27, 20), box(80, 5), box(0, 0)]
    # inside the first; around it; 12 of 20 columns in it; 13 of 20; apart; empty
    assert without_duplicates(masks, 10) == [0, 3, 5]
    assert without_duplicates(masks, 2) == [0, 3]
    assert without_duplicates(masks[::-1], 10) == [1, 2]  # what was worst now comes first
    assert without_duplicates([], 10) == []


@pytest.mark.parametrize(("third", "groups"), [(0.2, [0, 0, 1]), (0.5, [0, 0, 0])])
def test_groups_by_average_linkage(third: float, groups: list[int]) -> None:
    # a and b join first; c lies (0.4 + 0.8) / 2 = 0.6 or (0.4 + 0.5) / 2 = 0.45 from both
    similarity = np.array([[1, 0.9, 0.6], [0.9, 1, third], [0.6, third, 1]])
    labels = group_by_similarity(similarity)
    assert [label == labels[0] for label in labels] == [g == groups[0] for g in groups]


def test_groups_of_blocks() -> None:
    wanted = [0, 1, 0, 2, 1, 0]
    similarity = np.array([[0.8 if a == b else 0.3 for a in wanted] for b in wanted])
    labels = group_by_similarity(similarity)
    assert all((labels[i] == labels[j]) == (wanted[i] == wanted[j]) for i in range(6) for j in range(6))
    assert set(labels) == {0, 1, 2}
    assert group_by_similarity(np.eye(1)) == [0]
    assert group_by_similarity(np.eye(0)) == []
