from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.masks import disk, masks
from toolkit.data.mois_clicks import (
    ClickRules,
    covering_pixels,
    deep_pixels,
    ring_around,
    sample_exemplar_clicks,
    spread_pixels,
)
from toolkit.errors import InputError


def test_deep_pixels_keep_the_margin() -> None:
    mask = np.zeros((9, 11), bool)
    mask[1:8, 1:10] = True  # 7 × 9: a pixel's distance to the nearest pixel outside is 1 at the rim
    deep = deep_pixels(mask, 2)
    expected = np.zeros_like(mask)
    expected[3:6, 3:8] = True  # distances 3 and 4
    np.testing.assert_array_equal(deep, expected)


def test_the_photo_s_edge_is_a_border() -> None:
    deep = deep_pixels(np.ones((5, 5), bool), 2)
    assert np.argwhere(deep).tolist() == [[2, 2]]


def test_a_thin_mask_is_clicked_where_it_is_deepest() -> None:
    mask = np.zeros((5, 12), bool)
    mask[1:4, 1:8] = True  # depth 2 in its middle row, 1 elsewhere
    mask[2, 8:11] = True  # a tail of depth 1
    assert deep_pixels(mask, 20).sum() == mask.sum()  # half of depth 2 is 1
    mask[0:5, 1:6] = True  # now 3 deep in (2, 3)
    assert np.argwhere(deep_pixels(mask, 20)).tolist() == [
        [row, column]
        for row, columns in ((1, (2, 3, 4)), (2, (2, 3, 4, 5, 6)), (3, (2, 3, 4)))
        for column in columns
    ]  # at least 1.5 deep


def test_the_ring_lies_between_margin_and_reach() -> None:
    mask = np.zeros((1, 12), bool)
    mask[0, 0] = True
    assert np.flatnonzero(ring_around(mask, 2, 5)).tolist() == [3, 4, 5]
    assert np.flatnonzero(ring_around(mask, 20, 40)).tolist() == [6, 7, 8, 9, 10, 11]  # no room: half of 11


def test_covering_pixels_go_to_the_farthest() -> None:
    allowed = np.ones((1, 9), bool)
    allowed[0, 1:4] = False  # allowed: 0, 4, 5, 6, 7, 8
    rng = np.random.default_rng(0)
    first = 4
    while True:
        places = [column for _, column in covering_pixels(allowed, 4, 1, rng)]
        if places[0] == first:
            break
    # from 4: 0 and 8 are both 4 away, the first wins; then 8 (4 away); then 6 (2 away from 4 and 8)
    assert places == [4, 0, 8, 6]
    assert len(covering_pixels(allowed, 4, 4, rng)) <= 3


@given(masks(), st.integers(0, 6), st.floats(0, 12), st.integers(0, 99))
def test_spread_pixels_keep_their_distance(mask: np.ndarray, count: int, apart: float, seed: int) -> None:
    for draw in (spread_pixels, covering_pixels):
        places = draw(mask, count, apart, np.random.default_rng(seed))
        assert len(places) <= count
        assert all(mask[place] for place in places)
        assert len(places) == min(count, 1) or count > 1 or not mask.any()
        for (row, column), (other_row, other_column) in itertools.combinations(places, 2):
            assert (row - other_row) ** 2 + (column - other_column) ** 2 >= max(apart, 1) ** 2 - 1e-9


@given(masks(), st.integers(1, 20), st.integers(0, 999))
def test_exemplars_clicks_lie_where_they_say(mask: np.ndarray, most: int, seed: int) -> None:
    if not mask.any():
        with pytest.raises(InputError, match="empty"):
            sample_exemplar_clicks(mask, [], ClickRules(), np.random.default_rng(seed))
        return
    rules = ClickRules(most, apart=3, margin=2, reach=4)
    clicks = sample_exemplar_clicks(mask, [np.roll(mask, 3)], rules, np.random.default_rng(seed))
    assert 1 <= len(clicks) <= most
    assert clicks[0].positive
    for click in clicks:
        assert bool(mask[click.row, click.column]) is click.positive
        assert click.x % 1 == click.y % 1 == 0.5
    assert clicks == sample_exemplar_clicks(mask, [np.roll(mask, 3)], rules, np.random.default_rng(seed))


def test_the_number_of_clicks_is_even_from_one_to_the_most() -> None:
    mask = disk(300, 300, 150, 150, 100)
    rules = ClickRules(most=4, apart=1, margin=5, reach=40)
    lengths = [
        len(sample_exemplar_clicks(mask, [], rules, np.random.default_rng(seed))) for seed in range(400)
    ]
    counts = np.bincount(lengths, minlength=5)
    # a third of the negative draws look on other objects, of which there are none: shorter lists gain by them
    assert counts[0] == 0
    assert counts.sum() == 400
    assert min(counts[1:]) > 40


def test_negative_clicks_of_every_strategy_come() -> None:
    mask, other = disk(200, 300, 60, 100, 40), disk(200, 300, 240, 100, 40)
    rules = ClickRules(most=10, apart=10, margin=5, reach=40)
    on_other = near = 0
    for seed in range(60):
        clicks = sample_exemplar_clicks(mask, [other], rules, np.random.default_rng(seed))
        negatives = [click for click in clicks if not click.positive]
        distances = [np.hypot(click.x - 60, click.y - 100) - 40 for click in negatives]
        on_other += sum(bool(other[click.row, click.column]) for click in negatives)
        near += sum(distance <= 42 for distance in distances)
        assert all(distance > 4 for distance in distances)
    assert on_other > 10
    assert near > 20


@pytest.mark.parametrize("rules", [{"most": 0}, {"apart": -1}, {"margin": -1}, {"margin": 50}])
def test_senseless_rules_are_refused(rules: dict[str, float]) -> None:
    with pytest.raises(InputError, match="rules of clicks"):
        ClickRules(**rules)  # type: ignore[arg-type]
