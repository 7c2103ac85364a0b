"""A found object in the photo, from any copy of it, on rectangles worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.one_click.found_object import FoundObject
from models.placed_object import PlacedObject
from tests.helpers.placed import clicked, rectangle


def test_a_box_in_the_photo() -> None:
    # cells of rows 2-4 and columns 1-6, 4 pixels each, of a copy half as large
    assert rectangle(2, 1, 3, 6, scale=0.5).box == (8, 16, 56, 40)
    assert rectangle(2, 1, 3, 6, scale=0.5).area == 48 * 24


def test_the_vote() -> None:
    item = clicked(rectangle(0, 0, 2, 2, score=0.8), (4.0, 4.0))
    assert item.found.sureness == pytest.approx(np.tanh(2.0))  # 2 sigmoid(4) - 1
    assert item.vote == pytest.approx((0.8 * np.tanh(2.0)) ** 4)
    half = clicked(rectangle(0, 0, 2, 2, score=0.8), (4.0, 2.0))
    assert half.vote == pytest.approx(half.depth**2 * item.vote)
    nothing = replace(item.found, logits=-item.found.logits)
    assert nothing.sureness == 0


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_how_deep_a_click_lies(scale: float) -> None:
    # 32 × 64 pixels of the photo, from (16, 8): nothing lies deeper than 16
    item = rectangle(round(2 * scale), round(4 * scale), round(8 * scale), round(16 * scale), scale)
    for place, expected in (((48, 24), 1), ((32, 24), 1), ((48, 16), 1 / 2), ((20, 24), 1 / 4)):
        own = clicked(item, (place[0] * scale, place[1] * scale))
        assert own.depth == pytest.approx(expected, abs=0.13)  # one of the lattice's steps is 1/8


def test_a_click_beside_the_mask_has_the_least_depth() -> None:
    item = clicked(rectangle(0, 0, 8, 8), (-3.0, 40.0))
    assert item.depth == pytest.approx(1 / 16, rel=0.05)  # one step of the lattice, of 16


def test_several_clicks_have_no_one_middle() -> None:
    assert clicked(rectangle(0, 0, 8, 8), (1.0, 1.0), (2.0, 1.0)).depth == 1


def test_values_between_and_beyond_the_cells() -> None:
    found = FoundObject(np.array([[1.0, 3.0], [5.0, 11.0]], np.float32), 2, 3, 0.5, ())
    item = PlacedObject(found, 2.0)
    # a pixel of the photo is two of the copy; cell (2, 3)'s value lies at (14.5, 10.5) there
    values = item.values(14.5 / 2, 10.5 / 2, (1.0, 1.0), (2, 4))
    expected = [[1, 2, 3, -10], [3, 4.5 + 0.5, 7, -10]]  # the window ends at 20 in x
    np.testing.assert_allclose(values, expected, atol=0.05)
    assert item.holds(7.25, 5.25)
    assert not item.holds(3, 3)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_an_object_on_the_cells_of_another_copy(scale: float) -> None:
    # 32 × 48 pixels of the photo, from (16, 8): rows 2-9, columns 4-15 of cells of 4 pixels
    logits = np.full((12, 16), -4.0, np.float32)
    logits[2:10, 2:14] = 4.0
    item = PlacedObject(FoundObject(logits, 0, 2, 0.5, ((40.0, 24.0),)), 1.0)
    moved = item.at_scale(scale)
    assert moved.found.clicks == ((40 * scale, 24 * scale),)
    assert moved.scale == scale
    assert moved.found.score == item.found.score
    mask, own = (one.found.mask(64, 96, one.scale) for one in (moved, item))
    assert own.sum() == 31 * 47  # where two cells meet, a pixel's centre lies on the edge itself
    assert (mask & own).sum() / (mask | own).sum() > 0.9
    assert moved.side == pytest.approx(48, abs=4 / scale)


def test_an_object_in_the_corner_keeps_to_the_photo() -> None:
    moved = rectangle(0, 0, 8, 8).at_scale(0.5)
    assert (moved.found.top, moved.found.left) == (0, 0)
    assert moved.holds(16, 16)


def test_an_object_smaller_than_a_cell_keeps_one() -> None:
    logits = np.full((5, 5), -4.0, np.float32)
    logits[2, 2] = 4.0  # 4 pixels of the photo, from (88, 48); cells of the copy have 40 pixels
    moved = PlacedObject(FoundObject(logits, 10, 20, 0.5, ((90.0, 50.0),)), 1.0).at_scale(0.1)
    rows, columns = (moved.found.logits > 0).nonzero()
    assert (rows + moved.found.top).tolist() == [1]  # 50 / 40
    assert (columns + moved.found.left).tolist() == [2]  # 90 / 40
