from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

from tests.helpers.masks import disk, ring
from toolkit.clicks import Click
from toolkit.drawing import FILL, NEGATIVE, POSITIVE, contact_sheet, draw_overlay, palette
from toolkit.errors import InputError
from toolkit.masks import mask_box
from toolkit.selection import Instance

GREY = np.full((120, 160, 3), 100, np.uint8)


def instance(mask: np.ndarray, group: int | None = None, click: Click | None = None) -> Instance:
    return Instance(mask, mask_box(mask), 1.0, click, group)


def tint(colour: np.ndarray) -> np.ndarray:
    """What the fill makes of the grey photo, worked out from its definition."""
    return np.rint(100 * (1 - FILL) + colour.astype(float) * FILL)


def test_palette_colours_are_bright_and_differ():
    colours = palette(16)
    assert colours.dtype == np.uint8
    assert colours.shape == (16, 3)
    lab = rgb2lab(colours[None] / 255.0)[0]
    distances = np.linalg.norm(lab[:, None] - lab[None], axis=2)[np.triu_indices(16, 1)]
    assert distances.min() > 18  # 2.3 is what an eye just tells apart
    few = rgb2lab(palette(6)[None] / 255.0)[0]
    assert np.linalg.norm(few[:, None] - few[None], axis=2)[np.triu_indices(6, 1)].min() > 36
    assert lab[:, 0].min() > 36
    assert np.linalg.norm(lab[:, 1:], axis=1).min() > 25  # none is grey
    np.testing.assert_array_equal(palette(5), colours[:5])
    assert palette(0).shape == (0, 3)


def test_a_mask_is_tinted_inside_and_nothing_changes_far_outside():
    mask = disk(120, 160, 60, 60, 30)
    overlay = draw_overlay(GREY, [instance(mask)])
    np.testing.assert_array_equal(overlay[60, 60], tint(palette(1)[0]))
    np.testing.assert_array_equal(overlay[~disk(120, 160, 60, 60, 34)], 100)
    assert (GREY == 100).all()  # the photo itself is left alone
    edge = overlay[60, 88:92].astype(int)
    assert np.abs(edge - tint(palette(1)[0])).sum(axis=1).max() > 60  # an outline where the mask ends


def test_a_hole_stays_open_and_gets_its_own_outline():
    overlay = draw_overlay(GREY, [instance(ring(120, 160, 60, 60, 40, 18))])
    np.testing.assert_array_equal(overlay[60, 60], 100)
    np.testing.assert_array_equal(overlay[60, 30], tint(palette(1)[0]))
    assert (overlay[60, 60 - 20 : 60 - 16] != 100).any()


def test_groups_share_a_colour_and_loners_get_their_own():
    places = [(20, 20), (60, 20), (100, 20), (20, 80), (60, 80)]
    groups = [7, 3, 7, None, None]
    selection = [
        instance(disk(120, 160, x, y, 12), group) for (x, y), group in zip(places, groups, strict=True)
    ]
    overlay = draw_overlay(GREY, selection)
    colours = [tuple(overlay[y, x].tolist()) for x, y in places]
    assert colours[0] == colours[2]
    assert len(set(colours)) == 4
    assert colours[0] == tuple(tint(palette(2)[0]).tolist())
    assert colours[1] == tuple(tint(palette(2)[1]).tolist())


def test_clicks_are_marked_where_they_are_in_their_colour():
    overlay = draw_overlay(GREY, [], [Click(40.5, 30.5), Click(100.5, 80.5, positive=False)])
    np.testing.assert_array_equal(overlay[30, 40], POSITIVE)
    np.testing.assert_array_equal(overlay[80, 100], NEGATIVE)
    changed = (overlay != GREY).any(axis=2)
    rows, columns = np.nonzero(changed[:, :70])
    assert (rows.mean(), columns.mean()) == (30, 40)  # centred on the clicked pixel
    assert 6 <= np.ptp(columns) <= 12  # small


def test_marks_grow_with_the_photo_and_may_lie_on_its_border():
    large = np.full((1200, 1600, 3), 100, np.uint8)
    changed = (draw_overlay(large, [], [Click(800.5, 600.5)]) != 100).any(axis=2)
    assert 20 <= np.ptp(np.nonzero(changed)[1]) <= 40
    assert (draw_overlay(GREY, [], [Click(0, 0), Click(159.9, 119.9)]) != 100).any()


@pytest.mark.parametrize("size", [1, 2, 5])
def test_tiny_and_empty_masks_are_drawn_without_trouble(size):
    mask = np.zeros((120, 160), bool)
    assert (draw_overlay(GREY, [instance(mask)]) == GREY).all()
    mask[50 : 50 + size, 70 : 70 + size] = True
    changed = (draw_overlay(GREY, [instance(mask)]) != 100).any(axis=2)
    assert changed[mask].all()
    assert changed.sum() <= (size + 4) ** 2
    full = np.ones((120, 160), bool)
    assert (draw_overlay(GREY, [instance(full)]) != 100).any(axis=2).all()


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(InputError, match="mask 2"):
        draw_overlay(GREY, [instance(disk(120, 160, 9, 9, 5)), instance(disk(160, 120, 9, 9, 5))])


def test_contact_sheet_worked_out_by_hand():
    wide, high = np.full((10, 20, 3), 50, np.uint8), np.full((20, 10, 3), 150, np.uint8)
    sheet = contact_sheet([wide, high, wide], columns=2, cell=40, gap=4)
    assert sheet.shape == (4 + 40 + 4 + 20 + 4, 4 + 40 + 4 + 40 + 4, 3)
    expected = np.full(sheet.shape, 255, np.uint8)
    expected[14:34, 4:44] = 50  # 40 × 20, in the middle of a row 40 high
    expected[4:44, 58:78] = 150  # 20 × 40, in the middle of a cell 40 wide
    expected[48:68, 4:44] = 50
    np.testing.assert_array_equal(sheet, expected)


def test_contact_sheet_chooses_its_columns():
    tile = np.zeros((8, 8, 3), np.uint8)
    for count, (rows, columns) in {1: (1, 1), 2: (1, 2), 4: (2, 2), 5: (2, 3), 9: (3, 3)}.items():
        sheet = contact_sheet([tile] * count, cell=8, gap=2, background=(9, 9, 9))
        assert sheet.shape == (rows * 10 + 2, columns * 10 + 2, 3)
    with pytest.raises(InputError, match="at least one"):
        contact_sheet([])
