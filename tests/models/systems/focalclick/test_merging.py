"""Focus crops and the progressive merge, on toy masks."""

from __future__ import annotations

import numpy as np

from models.systems.clicking.crops import Crop
from models.systems.focalclick.merging import box_to_crop, clicked_piece, focus_box, progressive_merge
from models.systems.focalclick.stepper import inner_of
from tests.helpers.systems import box_mask

SIZE = (100, 100)


def test_only_the_changed_piece_under_the_click_is_taken() -> None:
    previous = box_mask(10, 10, 20, 20, SIZE)
    new = box_mask(10, 10, 30, 20, SIZE) | box_mask(70, 70, 10, 10, SIZE)  # grows to the right; a new island
    new[10:15, 10:15] = False  # and loses a corner
    merged = progressive_merge(new, previous, row=20, column=35)
    assert np.array_equal(merged, box_mask(10, 10, 30, 20, SIZE))
    merged = progressive_merge(new, previous, row=12, column=12)
    expected = previous.copy()
    expected[10:15, 10:15] = False
    assert np.array_equal(merged, expected)
    unchanged = progressive_merge(new, previous, row=20, column=20)  # nothing changed under the click
    assert np.array_equal(unchanged, previous)


def test_pieces_touch_at_corners() -> None:
    region = np.zeros((4, 4), bool)
    region[0, 0] = region[1, 1] = region[3, 3] = True
    assert clicked_piece(region, 0, 0).nonzero()[0].tolist() == [0, 1]
    assert not clicked_piece(region, 0, 3).any()


def test_a_first_click_is_refined_around_the_object() -> None:
    coarse = box_mask(30, 40, 20, 30, SIZE)
    nothing = np.zeros(SIZE, bool)
    # centre (40, 55), half sides 14 and 21
    assert focus_box(coarse, nothing, (40.5, 50.5)) == (26, 34, 54, 76)
    assert focus_box(nothing, nothing, (40.5, 50.5)) == (0, 0, 100, 100)
    corner = box_mask(0, 0, 20, 30, SIZE)
    assert focus_box(corner, nothing, (5.5, 5.5)) == (0, 0, 24, 36)


def test_a_later_click_is_refined_around_what_it_changed() -> None:
    previous = box_mask(30, 40, 20, 30, SIZE)
    coarse = previous | box_mask(50, 40, 20, 30, SIZE)
    # the change: x 50…70, y 40…70
    assert focus_box(coarse, previous, (60.5, 50.5)) == (46, 34, 74, 76)
    # beside the change: around the whole object, x 30…70
    assert focus_box(coarse, previous, (10.5, 10.5)) == (22, 34, 78, 76)
    # a change thinner than a third of the object: a square of 2 · 0.2 · 40 = 16 · 1.4 around the click
    thin = box_mask(30, 40, 36, 40, SIZE)
    wide = box_mask(30, 40, 40, 40, SIZE)
    x1, y1, x2, y2 = focus_box(wide, thin, (67.5, 60.5))
    assert np.allclose([x1, y1, x2, y2], [67.5 - 11.2, 60.5 - 11.2, 67.5 + 11.2, 60.5 + 11.2])


def test_boxes_travel_between_crop_and_photo() -> None:
    target = Crop(top=100, left=200, height=400, width=300)
    crop = box_to_crop((10, 20, 40, 50), target, (100, 100))  # 3 × 4 photo pixels a cell
    assert crop == Crop(top=180, left=230, height=120, width=90)
    assert inner_of(crop, target, (100, 100)) == (10, 20, 40, 50)
    assert box_to_crop((99.9, 99.9, 100, 100), target, (100, 100)) == Crop(499, 499, 1, 1)
