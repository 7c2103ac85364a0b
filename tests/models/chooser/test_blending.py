"""One mask out of several proposals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.chooser.blending import blend
from models.one_click.found_object import FoundObject
from models.placed_object import PlacedObject
from tests.models.chooser.test_features import square

NONE = np.zeros(2)


def strip(values: list[float], top: int = 0, left: int = 0, click: float = 2.0) -> PlacedObject:
    """One row of cells."""
    logits = np.array([values], np.float32)
    return PlacedObject(FoundObject(logits, top, left, 0.5, ((left * 4 + click, top * 4 + 2.0),)), 1.0)


def test_the_mean_of_the_logits() -> None:
    one, other = strip([3.0, 1.0, -1.0]), strip([3.0, 2.0, 2.0])
    mean = blend([one, other], np.array([0.75, 0.25]), NONE)
    np.testing.assert_allclose(mean.found.logits, [[3.0, 1.25, -0.25]])
    assert mean.found.score == 0.5
    assert mean.found.clicks == one.found.clicks


def test_logits_are_limited_and_what_lies_outside_speaks_against() -> None:
    one, other = strip([9.0, 9.0]), strip([9.0, 9.0], left=1)
    mean = blend([one, other], np.array([0.75, 0.25]), NONE)
    # within ± 4: 4 · 0.75 - 4 · 0.25, 4, and 4 · 0.25 - 4 · 0.75
    np.testing.assert_allclose(mean.found.logits, [[2.0, 4.0, -2.0]])


def test_offsets_are_added_in_proportion() -> None:
    one, other = strip([3.0, 1.0, -1.0]), strip([3.0, 2.0, 2.0])
    mean = blend([one, other], np.array([0.75, 0.25]), np.array([1.0, -1.0]))
    np.testing.assert_allclose(mean.found.logits, [[3.5, 1.75, 0.25]])


def test_what_has_hardly_a_part_has_none() -> None:
    one, other = strip([3.0, 1.0]), strip([3.0, 2.0], left=100)
    mean = blend([one, other], np.array([0.995, 0.005]), np.array([0.5, 99.0]))
    np.testing.assert_allclose(mean.found.logits, [[3.5, 1.5]])


def test_it_lies_on_the_finest_cells() -> None:
    coarse, fine = square(5, 2, 0.6, 0.5), square(10, 5, 0.8, 1.0)  # 16 to 56 px, and 20 to 60 px
    mean = blend([coarse, fine], np.array([0.6, 0.4]), NONE)
    assert mean.scale == 1.0
    assert mean.found.score == 0.6
    assert mean.found.clicks == tuple((x * 2, y * 2) for x, y in coarse.found.clicks)
    mask = mean.found.mask(80, 80, mean.scale)
    likelier = coarse.found.mask(80, 80, coarse.scale)
    assert (mask & likelier).sum() / (mask | likelier).sum() > 0.85


def test_the_likeliest_where_nothing_is_left() -> None:
    one, other = strip([1.0, 1.0]), strip([1.0, 1.0], left=50)
    assert blend([one, other], np.array([0.6, 0.4]), NONE) is one
    assert blend([one, other], np.array([0.4, 0.6]), NONE) is other


def test_the_likeliest_where_the_click_would_be_lost() -> None:
    one = strip([0.5, 0.5, 4.0, 4.0, 4.0])
    other = replace(one, found=replace(one.found, logits=np.array([[-4.0, -4.0, 4.0, 4.0, 4.0]], np.float32)))
    assert blend([one, other], np.array([0.6, 0.4]), NONE) is one
    elsewhere = replace(one, found=replace(one.found, clicks=((14.0, 2.0),)))
    assert blend([elsewhere, other], np.array([0.6, 0.4]), NONE) is not elsewhere


@given(st.lists(st.floats(0.02, 1.0), min_size=3, max_size=3))
def test_equal_proposals_stay_as_they_are(parts: list[float]) -> None:
    item = strip([3.0, 2.0, -1.0])
    weights = np.array(parts) / sum(parts)
    mean = blend([item, item, item], weights, np.zeros(3))
    np.testing.assert_allclose(mean.found.logits, item.found.logits, rtol=1e-5)
    assert mean.found.value_at(6.0, 2.0) == pytest.approx(item.found.value_at(6.0, 2.0), rel=1e-5)
