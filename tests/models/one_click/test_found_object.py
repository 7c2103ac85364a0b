"""Where the pixels of a found object land in the photo."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from models.one_click import found_object
from models.one_click.found_object import FoundObject, without_specks


def rectangle(top: int = 0, left: int = 0, clicks: tuple = ()) -> FoundObject:
    """Cells of rows 2–4 and columns 1–5 of a window of 8 × 9 cells."""
    logits = np.full((8, 9), -1.0, np.float32)
    logits[2:5, 1:6] = 1
    return FoundObject(logits, top, left, 0.5, clicks)


# A cell's value lies in the middle of its third pixel, 2.5 px from its corner; so the line between +1 and -1
# runs half a pixel behind the cell's border. Near a corner the bilinear value is 2uv - 1, with u and v the
# weights of the positive cell's column and row: where uv <= 1/2, pixels (row, column) are rounded off.
@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (3, 4)])
def test_a_rectangle_of_cells_lands_on_its_pixels(scale: float, top: int, left: int) -> None:
    # the rectangle's x1, x2, y1, y2 in pixels of the network
    sides = np.array([4 * (left + 1), 4 * (left + 6), 4 * (top + 2), 4 * (top + 5)])
    expected = np.zeros((120, 160), bool)
    if scale == 1:
        # the centres of the first pixel and of the first one behind lie on the line: zero, so outside
        x1, x2, y1, y2 = sides + np.array([1, 0, 1, 0])
        rounded = {"first": [], "last": []}  # the next are a pixel from the line: 0.75² > 1/2
    elif scale == 2:
        # pixels of 2 network pixels: the first centres lie half a pixel inside the line, the last 1.5
        x1, x2, y1, y2 = sides // 2
        rounded = {"first": [(0, 0)], "last": []}  # 0.625² < 1/2 < 0.625 · 0.875
    else:
        # pixels of half a network pixel: the line lies one of them further
        x1, x2, y1, y2 = sides * 2 + 1
        corner = [(0, 0), (0, 1), (1, 0), (0, 2), (2, 0), (1, 1)]  # weights 0.5625, 0.6875, 0.8125, 0.9375
        rounded = {"first": corner, "last": corner}
    expected[y1:y2, x1:x2] = True
    for row, column in rounded["first"]:
        expected[y1 + row, x1 + column] = False
    for row, column in rounded["last"]:
        expected[y2 - 1 - row, [x1 + column, x2 - 1 - column]] = False
        expected[y1 + row, x2 - 1 - column] = False
    mask = rectangle(top, left).mask(120, 160, scale)
    assert mask.dtype == bool
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_masks_lie_where_they_were_learned(scale: float) -> None:
    """A slope whose zero lies at x = 30.5, sampled as training samples masks, is found there again."""
    slope = np.arange(64, dtype=np.float32) + 0.5 - 30.5  # of each pixel's centre
    learned = np.tile(slope[2::4], (16, 1))
    mask = FoundObject(learned, 0, 0, 0.5, ()).mask(round(64 / scale), round(64 / scale), scale)
    centres = (np.arange(mask.shape[1]) + 0.5) * scale
    assert np.array_equal(mask[20], centres > 30.5)


@pytest.mark.parametrize("scale", [0.37, 0.8, 1.3, 2.0])
def test_masks_equal_scipy_at_any_scale(
    rng: np.random.Generator, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found_object, "without_specks", lambda mask, clicks: mask)
    logits = ndimage.gaussian_filter(rng.normal(size=(12, 10)), 1.5).astype(np.float32)
    found = FoundObject(logits, 2, 3, 0.5, ())
    height, width = round(60 / scale), round(70 / scale)  # the window ends inside the photo
    rows, columns = np.indices((height, width))
    y, x = ((rows + 0.5) * scale - 2.5) / 4 - 2, ((columns + 0.5) * scale - 2.5) / 4 - 3
    values = ndimage.map_coordinates(logits, [y, x], order=1, mode="nearest")
    window = (np.floor(12 / scale) <= columns) & (columns < np.ceil(52 / scale))
    window &= (np.floor(8 / scale) <= rows) & (rows < np.ceil(56 / scale))
    from_scipy = (values > 0) & window
    differs = found.mask(height, width, scale) != from_scipy
    # OpenCV rounds places to 1/32 cell: only pixels whose value is nearly zero may differ
    assert np.abs(values[differs]).max(initial=0) < 0.02
    assert differs.sum() <= 0.01 * differs.size


def test_a_window_at_the_photo_border_fills_it() -> None:
    found = FoundObject(np.full((3, 4), 2.0, np.float32), 0, 0, 0.5, ())
    assert found.mask(12, 16, 1.0).all()
    assert found.mask(9, 11, 1.0).all()  # what lies in the padding is cut off
    mask = found.mask(30, 30, 1.0)
    assert mask[:12, :16].all()
    assert mask.sum() == 12 * 16


def test_a_window_beyond_the_photo_gives_an_empty_mask() -> None:
    assert not FoundObject(np.ones((2, 2), np.float32), 10, 10, 0.5, ()).mask(40, 40, 1.0).any()


def test_box_is_that_of_the_positive_cells() -> None:
    assert rectangle(top=3, left=4).box == (4 * 5, 4 * 5, 4 * 10, 4 * 8)


def test_coverage_is_the_sigmoid_in_a_whole_map() -> None:
    logits = np.array([[0.0, np.log(3)], [-1000.0, 1000.0]], np.float32)
    coverage = FoundObject(logits, 1, 2, 0.5, ()).coverage(4, 6)
    expected = np.zeros((4, 6))
    expected[1:3, 2:4] = [[0.5, 0.75], [0, 1]]
    np.testing.assert_allclose(coverage, expected, atol=1e-6)


def test_coverage_leaves_out_what_reaches_beyond_the_map() -> None:
    coverage = FoundObject(np.zeros((3, 3), np.float32), 2, 4, 0.5, ()).coverage(4, 6)
    assert coverage.sum() == pytest.approx(0.5 * 2 * 2)
    assert np.count_nonzero(coverage[2:, 4:]) == 4
    assert not FoundObject(np.zeros((3, 3), np.float32), 4, 0, 0.5, ()).coverage(4, 6).any()


def test_value_at() -> None:
    found = FoundObject(np.array([[1.0, 3.0], [5.0, 11.0]], np.float32), 2, 3, 0.5, ())
    assert found.value_at(14.5, 10.5) == 1  # the place of cell (2, 3)
    assert found.value_at(16.5, 10.5) == 2  # halfway to the next
    assert found.value_at(16.5, 12.5) == 5  # where four meet: (1 + 3 + 5 + 11) / 4
    assert found.value_at(17.5, 13.5) == pytest.approx((1 + 3 * 3 + 3 * 5 + 9 * 11) / 16)
    assert found.value_at(12, 8) == 1  # the window's corner repeats its cell
    assert found.value_at(19.99, 15.99) == 11
    assert found.value_at(20, 10) == found.value_at(11.99, 10) == -np.inf
    assert found.value_at(12, 30) == found.value_at(3, 10) == -np.inf


def pieces() -> np.ndarray:
    mask = np.zeros((30, 40), bool)
    mask[2:12, 2:12] = True  # 100 pixels
    mask[2:7, 20:22] = True  # 10: a tenth
    mask[20:23, 5:8] = True  # 9
    mask[20, 30:32] = True  # 2
    return mask


def test_specks_are_pieces_below_a_tenth_of_the_largest() -> None:
    mask = pieces()
    kept = without_specks(mask, ())
    assert (kept <= mask).all()
    assert kept.sum() == 110
    assert not kept[15:].any()


def test_a_clicked_speck_stays() -> None:
    kept = without_specks(pieces(), [(31.9, 20.0), (0.0, 0.0), (500.0, -3.0)])
    assert kept.sum() == 112
    assert kept[20, 30]
    assert kept[20, 31]


def test_pieces_that_touch_at_a_corner_are_one() -> None:
    mask = np.zeros((30, 30), bool)
    mask[5:20, 5:20] = True
    mask[20, 20] = True
    assert np.array_equal(without_specks(mask, ()), mask)


@pytest.mark.parametrize("fill", [False, True])
def test_nothing_to_take_away(fill: bool) -> None:
    mask = np.full((4, 5), fill)
    assert np.array_equal(without_specks(mask, [(1, 1)]), mask)
