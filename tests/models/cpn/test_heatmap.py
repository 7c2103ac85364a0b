"""Heatmap targets and peaks, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from models.cpn.heatmap import find_peaks, heatmap_target
from toolkit.errors import InputError


def test_a_gaussian_around_the_centre_cell() -> None:
    # (10, 6) lies in cell (row 1, column 2); a diameter of 24 px is 6 cells, so σ = 1 cell
    target = heatmap_target([(10.0, 6.0, 24.0)], 5, 6)
    assert target.shape == (5, 6)
    assert target[1, 2] == 1
    assert target[1, 3].item() == target[0, 2].item() == pytest.approx(math.exp(-0.5))
    assert target[2, 3].item() == pytest.approx(math.exp(-1))
    assert target[4, 5].item() == pytest.approx(math.exp(-9))


@pytest.mark.parametrize(("diameter", "sigma"), [(12.0, 0.5), (48.0, 2.0), (96.0, 4.0)])
def test_sigma_is_a_sixth_of_the_diameter(diameter: float, sigma: float) -> None:
    target = heatmap_target([(34.0, 34.0, diameter)], 17, 17)
    assert target[8, 10].item() == pytest.approx(math.exp(-4 / (2 * sigma**2)))


def test_gaussians_merge_by_maximum() -> None:
    centers = [(6.0, 6.0, 24.0), (22.0, 6.0, 48.0)]  # columns 1 and 5; σ = 1 and 2
    target = heatmap_target(centers, 4, 8)
    alone = [heatmap_target([c], 4, 8) for c in centers]
    assert torch.equal(target, torch.maximum(*alone))
    assert target[1, 2].item() == pytest.approx(math.exp(-0.5))  # the first one's; the other's is e^(-9/8)
    assert target[1, 3].item() == pytest.approx(math.exp(-0.5))  # both reach it: e^(-2) and e^(-4/8)
    assert target[1, 1] == target[1, 5] == 1


def test_exactly_one_at_every_centre_and_below_elsewhere() -> None:
    centers = [(2.0, 2.0, 0.5), (3.9, 2.0, 300.0), (27.0, 14.0, 4.0)]
    target = heatmap_target(centers, 4, 8)
    assert (target == 1).nonzero().tolist() == [[0, 0], [3, 6]]  # the first two share a cell
    assert heatmap_target(centers[:1], 4, 8).sum() == 1  # one so small covers nothing but its cell


def test_centres_at_and_beyond_the_border_stay_in_the_map() -> None:
    target = heatmap_target([(32.0, 16.0, 8.0), (-1.0, 5.0, 8.0)], 4, 8)
    assert (target == 1).nonzero().tolist() == [[1, 0], [3, 7]]


def test_no_centres() -> None:
    assert torch.equal(heatmap_target([], 3, 4), torch.zeros(3, 4))


def positions(heatmap: torch.Tensor, window: int, threshold: float, **limit: int) -> list[tuple]:
    return [(p.x, p.y, round(p.confidence, 4)) for p in find_peaks(heatmap, window, threshold, **limit)]


def test_peaks_are_maxima_of_their_window() -> None:
    heatmap = torch.zeros(6, 9)
    heatmap[1, 1], heatmap[1, 3], heatmap[4, 7] = 0.6, 0.5, 0.9
    # cell (row 1, column 3) lies at pixel (14, 6)
    assert positions(heatmap, 3, 0.2) == [(30, 18, 0.9), (6, 6, 0.6), (14, 6, 0.5)]
    assert positions(heatmap, 5, 0.2) == [(30, 18, 0.9), (6, 6, 0.6)]  # 0.5 lies two cells from 0.6
    assert positions(heatmap, 1, 0.55) == [(30, 18, 0.9), (6, 6, 0.6)]
    assert positions(heatmap, 3, 0.2, limit=1) == [(30, 18, 0.9)]


def test_the_threshold_is_inclusive() -> None:
    heatmap = torch.tensor([[0.5, 0.0, 0.0, 0.25]])
    assert len(find_peaks(heatmap, 3, 0.25)) == 2
    assert len(find_peaks(heatmap, 3, 0.2501)) == 1
    assert find_peaks(heatmap, 3, 0.6) == []


def test_equal_neighbours_are_all_peaks_in_raster_order() -> None:
    heatmap = torch.zeros(3, 5)
    heatmap[0, 1] = heatmap[0, 2] = heatmap[2, 1] = 0.5
    assert positions(heatmap, 3, 0.2) == [(6, 2, 0.5), (10, 2, 0.5), (6, 10, 0.5)]


def test_equals_a_plain_loop(rng: np.random.Generator) -> None:
    heatmap = rng.random((13, 17)).astype(np.float32)
    for window in (1, 3, 5, 9):
        reach = window // 2
        expected = []
        for row in range(13):
            for column in range(17):
                around = heatmap[
                    max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1
                ]
                if heatmap[row, column] == around.max() and heatmap[row, column] >= 0.3:
                    expected.append((heatmap[row, column], 4 * column + 2, 4 * row + 2))
        found = find_peaks(torch.from_numpy(heatmap), window, 0.3)
        assert [(p.confidence, p.x, p.y) for p in found] == [
            (pytest.approx(c), x, y) for c, x, y in sorted(expected, key=lambda e: -e[0])
        ]


@pytest.mark.parametrize("window", [0, 4, -3])
def test_a_window_without_a_middle_is_refused(window: int) -> None:
    with pytest.raises(InputError, match=f"odd number of cells, got {window}"):
        find_peaks(torch.zeros(3, 3), window, 0.2)
