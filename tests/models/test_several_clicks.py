"""Objects of several clicks, grown and cut, on rectangles worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from models.overlaps import overlaps
from models.placed_object import PlacedObject
from models.several_clicks import ClickProposals, Point, distance_to, object_of_clicks, union
from tests.helpers.placed import rectangle

LEFT, RIGHT = (10.5, 10.5), (50.5, 10.5)  # clicks


def yes(point: Point, *items: PlacedObject) -> ClickProposals:
    return ClickProposals(point, True, items)


def no(point: Point, *items: PlacedObject) -> ClickProposals:
    return ClickProposals(point, False, items)


def same_place(a: PlacedObject | None, b: PlacedObject) -> bool:
    assert a is not None
    return float(overlaps([a], [b])[0, 0]) == pytest.approx(1, abs=1e-3)


def columns_of(item: PlacedObject | None, row: int = 2) -> list[int]:
    """Columns, counted from the photo's border, of the positive cells in a row."""
    assert item is not None
    return (np.flatnonzero(item.found.logits[row - item.found.top] > 0) + item.found.left).tolist()


def test_the_union_lies_on_the_finer_lattice() -> None:
    coarse, fine = rectangle(0, 0, 4, 4, scale=0.5, score=0.7), rectangle(0, 8, 8, 4, scale=1.0)
    both = union(coarse, fine, (40, 16), 1000)  # 32 × 32 pixels and, beside it, 16 × 32
    assert (both.scale, both.found.score) == (1, 0.7)
    assert both.box == (0, 0, 48, 32)
    assert same_place(both, rectangle(0, 0, 8, 12))
    assert same_place(union(fine, coarse, (0, 0), 1000), rectangle(0, 0, 8, 12))


def test_the_distance_to_a_mask_is_that_to_its_cells() -> None:
    # the last column's values lie at x = 7 · 4 + 2.5
    assert distance_to(rectangle(0, 0, 8, 8), (50.5, 10.5)) == 20


def test_a_click_inside_changes_nothing() -> None:
    part, whole = rectangle(0, 0, 8, 8), rectangle(0, 0, 8, 16, score=0.3)
    assert object_of_clicks([yes(LEFT, part, whole), yes((12.0, 12.0), whole)], [whole]) is part


def test_a_click_outside_adds_what_lies_around_it() -> None:
    part, surroundings = rectangle(0, 0, 8, 8), rectangle(0, 0, 60, 60, score=0.9)
    answer = object_of_clicks([yes(LEFT, part), yes(RIGHT, surroundings)], [surroundings])
    # x from 50.5 - 30 to 50.5 + 30, so cells 5 to 19, but the part begins at cell 0
    assert columns_of(answer) == list(range(20))
    assert answer is not None
    assert answer.holds(*LEFT)
    assert answer.holds(*RIGHT)
    assert not answer.holds(10.5, 50.5)  # 56 pixels from the click


@pytest.mark.parametrize("joint", [[], [rectangle(0, 10, 8, 6)]])
def test_where_a_click_proposes_nothing_all_together_may(joint: Sequence[PlacedObject]) -> None:
    part = rectangle(0, 0, 8, 8)
    answer = object_of_clicks([yes(LEFT, part), yes(RIGHT)], joint)
    assert columns_of(answer) == [*range(8), *(range(10, 16) if joint else ())]


def test_nothing_under_some_clicks() -> None:
    part = rectangle(0, 0, 8, 8)
    assert object_of_clicks([yes(LEFT)]) is None
    assert object_of_clicks([yes(RIGHT), yes(LEFT, part)]) is part


def test_a_negative_click_takes_its_object_away() -> None:
    whole, right = rectangle(0, 0, 8, 16), rectangle(0, 8, 8, 8)
    assert same_place(object_of_clicks([yes(LEFT, whole), no(RIGHT, right)]), rectangle(0, 0, 8, 8))
    assert same_place(object_of_clicks([no(RIGHT, right), yes(LEFT, whole)]), rectangle(0, 0, 8, 8))
    part = rectangle(0, 0, 8, 8)
    assert object_of_clicks([yes(LEFT, part), no(RIGHT, right)]) is part  # does not hold the click


def test_proposals_without_the_negative_click_go_first_unless_unlikely() -> None:
    whole, part = rectangle(0, 0, 8, 16, score=0.9), rectangle(0, 0, 8, 6, score=0.6)
    assert object_of_clicks([yes(LEFT, whole, part), no(RIGHT)]) is part  # (0.6 / 0.9) ** 4 = 0.2
    unlikely = rectangle(0, 0, 8, 6, score=0.4)  # 0.04
    assert columns_of(object_of_clicks([yes(LEFT, whole, unlikely), no(RIGHT)])) == list(range(7))


def test_without_an_object_the_nearer_click_decides() -> None:
    whole = rectangle(0, 0, 8, 30)  # the clicks lie at x = 10.5 and 50.5: halfway 30.5, and 40 apart
    rest = object_of_clicks([yes(LEFT, whole), no(RIGHT)])
    wanted = [column for column in range(30) if 4 * column + 2.5 < 30.5 or 4 * column + 2.5 > 90.5]
    assert columns_of(rest) == wanted


def test_what_a_positive_click_adds_a_negative_one_still_takes_away() -> None:
    part, wide = rectangle(0, 0, 8, 8), rectangle(0, 0, 8, 30)
    negative = (70.5, 10.5)
    answer = object_of_clicks([yes(LEFT, part), no(negative), yes(RIGHT, wide)])
    assert answer is not None
    assert answer.holds(*RIGHT)
    assert not answer.holds(*negative)


def test_nothing_is_left() -> None:
    whole = rectangle(0, 0, 8, 8)
    assert object_of_clicks([yes((100.0, 100.0), whole), no((16.0, 16.0), whole)]) is None
    assert np.all(whole.found.logits > 0)  # what was selected is not changed
