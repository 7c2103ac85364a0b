from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from tests.helpers.masks import disk, masks
from toolkit.clicks import (
    Click,
    binary_map,
    center_click,
    disk_map,
    gaussian_map,
    next_click,
    sample_center_clicks,
    sample_jittered_center_of_mass,
)
from toolkit.errors import InputError

NOTHING = np.zeros((5, 9), bool)


def boxes(*spans: tuple[int, int, int, int], shape: tuple[int, int] = (5, 9)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    for top, bottom, left, right in spans:
        mask[top:bottom, left:right] = True
    return mask


def reference_click(truth, prediction, previous, positive_only, ignore=None) -> Click | None:
    """RITM's rule, written with scipy's exact transform on the whole photo, padded, and plain loops."""
    counted = np.ones(truth.shape, bool) if ignore is None else ~ignore
    peaks = []
    for region in (truth & ~prediction & counted, ~truth & prediction & counted):
        squared = np.rint(ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1] ** 2)
        for click in previous:
            squared[math.floor(click.y), math.floor(click.x)] = 0
        best = (0, None)
        for row in range(truth.shape[0]):
            for column in range(truth.shape[1]):
                if squared[row, column] > best[0]:
                    best = (squared[row, column], (row, column))
        peaks.append(best)
    (missed, at_missed), (wrong, at_wrong) = peaks
    if positive_only:
        wrong, at_wrong = 0, None
    if at_missed is None and at_wrong is None:
        return None
    row, column = at_missed if missed > wrong else at_wrong
    return Click(column + 0.5, row + 0.5, bool(missed > wrong))


@given(masks(max_side=14), st.data())
def test_next_click_agrees_with_a_direct_search(truth, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    kind = data.draw(st.sampled_from(["empty", "noise", "shifted", "same", "inverse"]))
    prediction = {
        "empty": np.zeros_like(truth),
        "noise": rng.random(truth.shape) < 0.5,
        "shifted": np.roll(truth, (1, 2), (0, 1)),
        "same": truth.copy(),
        "inverse": ~truth,
    }[kind]
    ignore = rng.random(truth.shape) < 0.1 if data.draw(st.booleans()) else None
    positive_only = data.draw(st.booleans())
    previous: list[Click] = []
    for _ in range(4):  # each click is one that was clicked before for the next
        expected = reference_click(truth, prediction, previous, positive_only, ignore)
        assert next_click(truth, prediction, previous, positive_only, ignore) == expected
        if expected is None:
            break
        previous.append(expected)


@pytest.mark.parametrize("seed", range(4))
def test_next_click_agrees_on_photo_sized_masks(seed):
    rng = np.random.default_rng(seed)
    truth = ndimage.gaussian_filter(rng.standard_normal((300, 420)), 12) > 0
    prediction = ndimage.gaussian_filter(rng.standard_normal((300, 420)), 9) > 0
    expected = reference_click(truth, prediction, [], False)
    assert next_click(truth, prediction) == expected


def test_first_click_is_the_middle_of_the_object():
    assert next_click(boxes((1, 4, 2, 5)), NOTHING) == Click(3.5, 2.5)


def test_the_border_of_the_photo_counts_as_outside():
    """A full photo is deepest in its middle; without padding the transform would have no end."""
    assert next_click(np.ones((5, 5), bool), np.zeros((5, 5), bool)) == Click(2.5, 2.5)
    # Three rows at the border are as deep as three rows elsewhere.
    assert next_click(boxes((0, 3, 0, 3), (2, 5, 5, 8)), NOTHING) == Click(1.5, 1.5)


def test_equal_peaks_are_negative_and_the_first_in_raster_order_wins():
    missed, wrong = boxes((0, 3, 0, 3)), boxes((1, 4, 5, 8))
    assert next_click(missed, wrong) == Click(6.5, 2.5, positive=False)
    assert next_click(boxes((0, 3, 0, 3), (1, 4, 5, 8)), NOTHING) == Click(1.5, 1.5)
    assert next_click(boxes((0, 3, 5, 8), (1, 4, 0, 3)), NOTHING) == Click(6.5, 1.5)
    assert next_click(boxes((0, 3, 0, 4)), NOTHING) == Click(1.5, 1.5)  # columns 1 and 2 are equally deep


def test_a_strictly_deeper_miss_is_positive_and_positive_only_looks_at_nothing_else():
    missed, wrong = boxes((0, 5, 0, 5)), boxes((1, 4, 5, 8))
    assert next_click(missed, wrong) == Click(2.5, 2.5)
    small = boxes((0, 1, 0, 1))
    assert next_click(small, wrong) == Click(6.5, 2.5, positive=False)
    assert next_click(small, wrong, positive_only=True) == Click(0.5, 0.5)
    assert next_click(NOTHING, wrong, positive_only=True) is None


def test_clicked_pixels_drop_out_by_the_pixel_they_lie_in():
    truth = boxes((1, 4, 2, 5))
    assert next_click(truth, NOTHING, [Click(3.9, 2.1)]) == Click(2.5, 1.5)
    assert next_click(truth, NOTHING, [Click(3.0, 2.0)]) == Click(2.5, 1.5)
    assert next_click(truth, NOTHING, [Click(4.0, 2.0)]) == Click(3.5, 2.5)
    pixel = boxes((2, 3, 4, 5))
    assert next_click(pixel, NOTHING, [Click(4.5, 2.5)]) is None
    # A negative click on the pixel makes it a clicked one as well.
    assert next_click(pixel, NOTHING, [Click(4.5, 2.5, positive=False)]) is None


def test_nothing_to_correct_gives_no_click():
    truth = boxes((1, 4, 2, 5))
    assert next_click(truth, truth) is None
    assert next_click(NOTHING, NOTHING) is None
    assert next_click(truth, NOTHING, ignore=truth) is None


def test_ignored_pixels_do_not_count():
    truth = boxes((0, 5, 0, 5))
    ignore = boxes((0, 5, 0, 2))
    assert next_click(truth, NOTHING, ignore=ignore) == Click(3.5, 1.5)


def test_masks_of_other_types_and_sizes():
    truth = boxes((1, 4, 2, 5)).astype(np.uint8)
    assert next_click(truth, np.zeros((5, 9), np.int64)) == Click(3.5, 2.5)
    with pytest.raises(InputError, match="one size"):
        next_click(truth, np.zeros((9, 5), bool))
    with pytest.raises(InputError, match="one size"):
        next_click(truth, truth, ignore=np.zeros((9, 5), bool))


def test_center_click_is_the_first_peak():
    assert center_click(boxes((1, 4, 2, 5))) == Click(3.5, 2.5)
    assert center_click(boxes((0, 1, 3, 7))) == Click(3.5, 0.5)


@given(masks(max_side=14), st.integers(0, 999))
def test_center_samples_lie_in_the_deeper_half(mask, seed):
    if not mask.any():
        mask[0, 0] = True
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    clicks = sample_center_clicks(mask, np.random.default_rng(seed))
    assert 1 <= len(clicks) <= 5
    assert all(click.positive and click.x % 1 == click.y % 1 == 0.5 for click in clicks)
    assert all(depth[click.row, click.column] >= depth.max() / 2 - 1e-6 for click in clicks)
    assert clicks == sample_center_clicks(mask, np.random.default_rng(seed))


def test_center_samples_spread_without_repetition_over_the_whole_deeper_half(rng):
    mask = disk(41, 41, 20.5, 20.5, 18)
    depth = ndimage.distance_transform_edt(mask)
    deep = {(row, column) for row, column in np.argwhere(depth >= depth.max() / 2).tolist()}
    everything = sample_center_clicks(mask, rng, count=len(deep))
    assert {(click.row, click.column) for click in everything} == deep
    counts = {len(sample_center_clicks(mask, rng)) for _ in range(200)}
    assert counts == {1, 2, 3, 4, 5}


def test_center_samples_of_a_mask_smaller_than_their_number(rng):
    assert sample_center_clicks(boxes((2, 3, 4, 5)), rng, count=3) == [Click(4.5, 2.5)] * 3
    assert sample_center_clicks(boxes((2, 3, 4, 5)), rng, count=0) == []


@given(masks(max_side=14), st.integers(0, 999), st.sampled_from([0.0, 2.0, 50.0]))
def test_jittered_center_stays_in_the_mask_and_in_its_reach(mask, seed, jitter):
    if not mask.any():
        mask[0, 0] = True
    click = sample_jittered_center_of_mass(mask, np.random.default_rng(seed), jitter)
    assert mask[click.row, click.column]
    center = np.array(ndimage.center_of_mass(mask)) + 0.5
    # Moved to the nearest pixel's centre at worst: as far again as the mask is from where the click fell.
    nearest = np.sqrt(((np.argwhere(mask) + 0.5 - center) ** 2).sum(axis=1)).min()
    assert math.dist((click.y, click.x), center) <= nearest + 2 * math.sqrt(2) * jitter + 1e-9


def test_jitter_is_uniform_around_the_center_of_mass(rng):
    """In a mask that holds all of the square, x and y are U(-50, 50): mean 0, variance 100² / 12."""
    mask = np.ones((110, 120), bool)
    clicks = [sample_jittered_center_of_mass(mask, rng) for _ in range(3000)]
    offsets = np.array([(click.x - 60, click.y - 55) for click in clicks])
    assert np.abs(offsets).max() <= 50
    assert np.abs(offsets).max() > 49
    np.testing.assert_allclose(offsets.mean(axis=0), 0, atol=2.2)  # 4 standard errors
    np.testing.assert_allclose(offsets.var(axis=0), 100**2 / 12, rtol=0.07)


def test_a_click_outside_goes_to_the_nearest_pixel_of_the_mask(rng):
    mask = np.zeros((20, 20), bool)
    mask[4, 3] = mask[4, 13] = True  # centre of mass between the two, on neither
    places = {sample_jittered_center_of_mass(mask, rng, jitter=2.0) for _ in range(50)}
    assert places == {Click(3.5, 4.5), Click(13.5, 4.5)}


@pytest.mark.parametrize("function", [center_click, sample_center_clicks, sample_jittered_center_of_mass])
def test_an_empty_mask_has_nowhere_to_click(function, rng):
    with pytest.raises(InputError, match="empty"):
        function(NOTHING, *([] if function is center_click else [rng]))
    with pytest.raises(InputError, match="count"):
        sample_center_clicks(~NOTHING, rng, count=-1)


def test_binary_map_sets_the_cell_of_each_click():
    clicks = [Click(0, 0), Click(8.9, 4.1), Click(8.2, 4.9, positive=False)]
    expected = np.zeros((5, 9), np.float32)
    expected[0, 0] = expected[4, 8] = 1
    cells = binary_map(clicks, 5, 9)
    assert cells.dtype == np.float32
    np.testing.assert_array_equal(cells, expected)
    coarse = binary_map([Click(15.9, 16.0)], 4, 4, stride=8)
    assert np.argwhere(coarse).tolist() == [[2, 1]]
    assert not binary_map([], 5, 9).any()


@pytest.mark.parametrize("click", [Click(-0.1, 1), Click(9.0, 1), Click(1, 5.0), Click(math.nan, 1)])
def test_binary_map_refuses_a_click_outside(click):
    with pytest.raises(InputError, match="outside"):
        binary_map([click], 5, 9)


def test_disk_of_radius_five_is_ritms():
    """Pixels whose index lies within 5 of the clicked one, the border included: 81 of them, by counting."""
    cells = disk_map([Click(20.5, 15.5)], 31, 41)
    offsets = np.argwhere(cells) - [15, 20]
    expected = [(y, x) for y in range(-5, 6) for x in range(-5, 6) if y * y + x * x <= 25]
    assert len(expected) == 81
    assert sorted(map(tuple, offsets.tolist())) == expected
    assert cells.dtype == np.float32
    assert set(np.unique(cells)) == {0, 1}


@given(
    st.lists(st.tuples(st.floats(-20, 50), st.floats(-20, 40)), max_size=4),
    st.sampled_from([1, 2, 4]),
    st.floats(0.5, 12),
)
def test_disks_and_gaussians_agree_with_distances_on_the_whole_grid(points, stride, reach):
    clicks = [Click(x, y) for x, y in points]
    rows, columns = (np.mgrid[:9, :11] + 0.5) * stride
    squared = [(columns - click.x) ** 2 + (rows - click.y) ** 2 for click in clicks]
    nearest = np.min([*squared, np.full((9, 11), np.inf)], axis=0)
    np.testing.assert_array_equal(disk_map(clicks, 9, 11, stride, radius=reach), nearest <= reach**2)
    gaussian = gaussian_map(clicks, 9, 11, stride, sigma=reach)
    assert gaussian.dtype == np.float32
    np.testing.assert_allclose(gaussian, np.exp(-nearest / (2 * reach**2)), atol=2e-8)


def test_gaussian_of_ten_pixels():
    cells = gaussian_map([Click(50.5, 40.5)], 81, 101)
    assert cells[40, 50] == 1
    assert cells[40, 60] == pytest.approx(math.exp(-0.5))  # one standard deviation away
    assert cells[50, 60] == pytest.approx(math.exp(-1))


def test_where_a_click_lies():
    click = Click(3.99, 0.0)
    assert (click.row, click.column) == (0, 3)
    assert click.inside(1, 4)
    assert not click.inside(1, 3)
    assert not Click(-0.001, 0).inside(5, 5)
