"""Which of several proposals agrees best with the others, on rectangles worked out by hand."""

from __future__ import annotations

import pytest

from models.agreement import agreed, agreement, most_agreed
from tests.helpers.placed import clicked, rectangle


def test_the_largest_expected_overlap_wins() -> None:
    whole, half, moved = rectangle(0, 0, 8, 8), rectangle(0, 0, 8, 4), rectangle(0, 4, 8, 8)
    items = [whole, half, moved]
    # expected IoU with even votes: 1 + 1/2 + 1/3, 1/2 + 1 + 0, 1/3 + 0 + 1
    assert most_agreed(items, items, [1, 1, 1]) is whole
    assert most_agreed(items, items, [1, 3, 1]) is half  # 1 + 3/2 + 1/3 < 1/2 + 3
    assert most_agreed(items[1:], items, [1, 1, 1]) is half  # only the two may answer: 3/2 > 4/3
    assert most_agreed([moved], items, [1, 1, 1]) is moved
    assert most_agreed([], items, [1, 1, 1]) is None


def test_how_far_proposals_agree() -> None:
    whole, half = rectangle(0, 0, 8, 8), rectangle(0, 0, 8, 4)
    assert agreement([whole]) == pytest.approx(1)
    assert agreement([whole, half]) == pytest.approx(3 / 4)  # even votes: (1 + 1/2) / 2
    assert agreement([whole, whole, half]) == pytest.approx(5 / 6)  # (1 + 1 + 1/2) / 3
    assert agreement([]) == 0


def test_of_equal_scores_the_one_clicked_in_its_middle_wins() -> None:
    whole, half = rectangle(0, 0, 8, 8), rectangle(0, 0, 8, 4)
    for click, expected in (((16.0, 16.0), 0), ((8.0, 16.0), 1)):
        items = [clicked(item, click) for item in (whole, half)]
        assert agreed(items) is items[expected]
