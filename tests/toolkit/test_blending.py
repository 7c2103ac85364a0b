"""Pasting and occlusion against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion

from toolkit.blending import BLENDS, PlacedMask, mix, occlude, paste, paste_occlusion
from toolkit.cutouts import Cutout, cut_out
from toolkit.errors import InputError


def disc_cutout(radius=8, colour=(220, 40, 30)):
    side = 2 * radius + 11
    yy, xx = np.mgrid[:side, :side] - side // 2
    mask = xx**2 + yy**2 <= radius**2
    image = np.zeros((side, side, 3), np.uint8)
    image[mask] = colour
    return cut_out(image, mask, feather=1.0)


@pytest.mark.parametrize("mode", ["hard", "feather", "gaussian"])
def test_the_middle_is_the_object_and_far_away_the_photo(mode):
    canvas = np.full((60, 80, 3), 100, np.uint8)
    cutout = disc_cutout()
    placed = paste(canvas, cutout, 30, 20, mode)
    centre = (20 + cutout.height // 2, 30 + cutout.width // 2)
    assert canvas[centre].tolist() == [220, 40, 30]
    assert (canvas[:20] == 100).all()
    assert (canvas[:, :30] == 100).all()
    assert np.array_equal(placed.full(60, 80)[20 : 20 + cutout.height, 30 : 30 + cutout.width], cutout.mask)


def test_hard_changes_exactly_the_mask():
    canvas = np.full((60, 80, 3), 100, np.uint8)
    placed = paste(canvas, disc_cutout(), 5, 7, "hard")
    assert np.array_equal((canvas != 100).any(axis=2), placed.full(60, 80))


def test_poisson_has_the_photo_at_its_edge_and_itself_inside():
    canvas = np.full((60, 80, 3), 100, np.uint8)
    cutout = disc_cutout(radius=12)
    placed = paste(canvas, cutout, 20, 15, "poisson")
    assert placed.area == cutout.area
    # a disc of one colour has no gradients: at its outermost pixels, depth 1, only the photo's colour is left
    edge = placed.mask & ~binary_erosion(placed.mask)
    assert np.abs(canvas[placed.window][edge].astype(int) - 100).max() <= 2
    # deep inside a fifth of the way to the photo's colour remains: 220 - 0.2 * 120 = 196
    assert canvas[15 + cutout.height // 2, 20 + cutout.width // 2, 0] == pytest.approx(196, abs=2)


def test_poisson_keeps_the_texture_in_place():
    rng = np.random.default_rng(0)
    cutout = disc_cutout(radius=10)
    texture = rng.integers(60, 200, cutout.image.shape, dtype=np.uint8)
    canvas = np.full((60, 80, 3), 128, np.uint8)
    placed = paste(canvas, Cutout(texture, cutout.alpha, cutout.mask), 20, 15, "poisson")
    inside = binary_erosion(placed.mask, iterations=3)
    result = canvas[placed.window].astype(float)

    def likeness(dy, dx):
        moved = np.roll(result, (dy, dx), (0, 1))[inside]
        return np.corrcoef(texture[inside].astype(float).ravel(), moved.ravel())[0, 1]

    shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    assert max(shifts, key=lambda shift: likeness(*shift)) == (0, 0)
    assert likeness(0, 0) > 0.8


@pytest.mark.parametrize("mode", BLENDS)
@pytest.mark.parametrize(("left", "top"), [(-10, -10), (70, 50), (-5, 30), (30, 55)])
def test_pastes_are_clipped_at_the_border(mode, left, top):
    canvas = np.full((60, 80, 3), 100, np.uint8)
    cutout = disc_cutout()
    placed = paste(canvas, cutout, left, top, mode)
    wide = np.zeros((60 + 200, 80 + 200), bool)
    wide[top + 100 : top + 100 + cutout.height, left + 100 : left + 100 + cutout.width] = cutout.mask
    assert np.array_equal(placed.full(60, 80), wide[100:160, 100:180])


def test_a_paste_outside_changes_nothing():
    canvas = np.full((60, 80, 3), 100, np.uint8)
    assert paste(canvas, disc_cutout(), 200, 10).area == 0
    assert (canvas == 100).all()


def test_unknown_blend_is_named():
    with pytest.raises(InputError, match="'soft'"):
        paste(np.zeros((9, 9, 3), np.uint8), disc_cutout(), 0, 0, "soft")


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_mix_is_the_rounded_average(target, image, alpha):
    canvas = np.full((1, 1, 3), target, np.uint8)
    mix(canvas, np.full((1, 1, 3), image, np.uint8), np.full((1, 1), alpha, np.uint8))
    exact = target + (image - target) * alpha / 255
    assert abs(float(canvas[0, 0, 0]) - exact) <= 0.5 + 1e-9


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_occlusion_is_set_difference(seed):
    rng = np.random.default_rng(seed)
    fulls = rng.random((4, 20, 24)) < 0.4
    cover = np.zeros((20, 24), bool)
    top, left = int(rng.integers(0, 14)), int(rng.integers(0, 18))
    cover[top : top + 6, left : left + 6] = rng.random((6, 6)) < 0.7
    placed = [PlacedMask.from_full(full) for full in fulls]
    left_over = paste_occlusion(placed, PlacedMask.from_full(cover))
    for full, rest in zip(fulls, left_over, strict=True):
        assert np.array_equal(rest.full(20, 24), full & ~cover)


def test_untouched_masks_are_returned_as_they_are():
    full = np.zeros((20, 24), bool)
    full[2:5, 2:5] = True
    placed = PlacedMask.from_full(full)
    assert occlude(placed, PlacedMask(10, 10, np.ones((4, 4), bool))) is placed
    assert PlacedMask.from_full(np.zeros((5, 5), bool)).area == 0


def test_tight_is_the_box_of_what_is_set():
    mask = np.zeros((9, 12), bool)
    mask[3, 4], mask[6, 9] = True, True
    tight = PlacedMask(100, 200, mask).tight()
    assert (tight.left, tight.top, tight.mask.shape) == (104, 203, (4, 6))
    assert tight.area == 2
    assert PlacedMask(1, 1, np.zeros((3, 0), bool)).tight().area == 0
