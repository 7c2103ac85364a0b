"""Equations 3 and 4 of EMC-Click against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from models.systems.emc_click.templates import (
    click_cells,
    clicked_templates,
    distance_map,
    select_templates,
    similarity_map,
    template_scores,
    top_templates,
)


def test_clicks_fall_into_cells_of_four_pixels() -> None:
    points = torch.tensor([[[0.5, 0.5, 1.0], [11.9, 4.0, 0.0], [99.0, 99.0, 1.0], [-1.0, -1.0, -1.0]]])
    # a map of 2 rows and 3 columns: column 2 of row 1 is place 5; what lies outside goes to the nearest cell
    assert click_cells(points, 2, 3, 4).tolist() == [[0, 5, 5, 0]]


def test_similarity_is_the_largest_cosine_to_any_click() -> None:
    tokens = torch.tensor([[[2.0, 0.0], [0.0, 3.0], [1.0, 1.0], [-1.0, 0.0]]])
    half = 1 / math.sqrt(2)
    one = similarity_map(tokens, torch.tensor([[0]]), torch.tensor([[True]]))
    assert one[0].tolist() == pytest.approx([1, 0, half, -1])
    two = similarity_map(tokens, torch.tensor([[0, 1]]), torch.tensor([[True, True]]))
    assert two[0].tolist() == pytest.approx([1, 1, half, 0])


def test_points_that_do_not_count_change_no_similarity() -> None:
    tokens = torch.tensor([[[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]]])
    padded = similarity_map(tokens, torch.tensor([[0, 1]]), torch.tensor([[True, False]]))
    assert padded[0].tolist() == pytest.approx([1, 0, -1])
    nothing = similarity_map(tokens, torch.tensor([[0, 1]]), torch.tensor([[False, False]]))
    assert nothing[0].tolist() == [0, 0, 0]


def test_distance_is_to_the_nearest_click_over_the_diagonal() -> None:
    # 3 × 4 cells: the diagonal is 5; clicks in the corners (0, 0) and (2, 3)
    cells, both = torch.tensor([[0, 11]]), torch.tensor([[True, True]])
    first = distance_map(cells, torch.tensor([[True, False]]), 3, 4)[0]
    assert first.view(3, 4)[2].tolist() == pytest.approx([2 / 5, 5**0.5 / 5, 8**0.5 / 5, 13**0.5 / 5])
    nearest = distance_map(cells, both, 3, 4)[0].view(3, 4)
    assert nearest[2].tolist() == pytest.approx([2 / 5, 2 / 5, 1 / 5, 0])
    assert distance_map(cells, ~both, 3, 4).tolist() == [[0.0] * 12]


def test_the_score_of_equation_3() -> None:
    v_p, v_n, d_p = torch.tensor([[0.9, 0.2]]), torch.tensor([[0.1, 0.8]]), torch.tensor([[0.5, 0.0]])
    # (0.9 + 0.9) · 0.5 and (0.2 + 0.2) · 1
    assert template_scores(v_p, v_n, d_p)[0].tolist() == pytest.approx([0.9, 0.4])


def test_the_best_cells_come_first_and_a_small_map_is_filled_up() -> None:
    scores = torch.tensor([[0.1, 0.7, 0.4]])
    assert top_templates(scores, 2).index.tolist() == [[1, 2]]
    filled = top_templates(scores, 5)
    assert filled.index.tolist() == [[1, 2, 0, 0, 0]]
    assert filled.valid.tolist() == [[True, True, True, False, False]]
    tokens = torch.tensor([[[1.0], [2.0], [3.0]]])
    assert filled.of(tokens)[0, :, 0].tolist() == [2, 3, 1, 0, 0]


def test_templates_of_a_map_with_two_kinds_of_cells() -> None:
    # a row of four cells like (1, 0) and four like (0, 1); a positive click on cell 1, a negative on cell 6
    features = torch.tensor([[1.0] * 4 + [0.0] * 4, [0.0] * 4 + [1.0] * 4]).view(1, 2, 1, 8)
    cells = torch.tensor([[1, 6]])
    positive, negative = torch.tensor([[True, False]]), torch.tensor([[False, True]])
    chosen_p, chosen_n = select_templates(features, cells, positive, negative, 3)
    assert chosen_p.index[0, 0] == 1
    assert set(chosen_p.index[0].tolist()) == {0, 1, 2}  # like the click, and nearest to it
    assert chosen_n.index[0, 0] == 6
    assert set(chosen_n.index[0].tolist()) == {5, 6, 7}


def test_without_negative_clicks_the_least_like_cells_are_negative() -> None:
    features = torch.tensor([[1.0, 1.0, 0.0, -1.0], [0.0, 0.0, 1.0, 0.0]]).view(1, 2, 1, 4)
    positive = torch.tensor([[True]])
    _, chosen = select_templates(features, torch.tensor([[0]]), positive, ~positive, 2)
    assert chosen.index.tolist() == [[3, 2]]  # scores 1 - V_p: 0, 0, 1, 2


def test_templates_of_a_batch_are_those_of_each_image() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 8, 5, 6)
    cells = torch.tensor([[3, 20], [7, 0]])
    positive, negative = (
        torch.tensor([[True, False], [True, False]]),
        torch.tensor([[False, True], [False, False]]),
    )
    together = select_templates(features, cells, positive, negative, 4)
    for row in range(2):
        item = slice(row, row + 1)
        alone = select_templates(features[item], cells[item], positive[item], negative[item], 4)
        for one, all_ in zip(alone, together, strict=True):
            assert one.index.tolist() == all_.index[item].tolist()


def test_clicked_cells_alone() -> None:
    cells = torch.tensor([[4, 9, 2, 0]])
    positive = torch.tensor([[True, False, True, False]])
    negative = torch.tensor([[False, True, False, False]])
    chosen_p, chosen_n = clicked_templates(cells, positive, negative, 3)
    assert chosen_p.valid.tolist() == [[True, True, False]]
    assert chosen_p.index[0, :2].tolist() == [4, 2]
    assert chosen_n.valid.tolist() == [[True, False, False]]
    assert chosen_n.index[0, 0] == 9
    few = clicked_templates(cells, positive, negative, 6)[0]  # more places than points
    assert few.valid.tolist() == [[True, True, False, False, False, False]]
