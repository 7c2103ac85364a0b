"""Cut-outs: shapes, soft edges and transforms worked out by hand."""

import numpy as np
import pytest

from toolkit.cutouts import bleed, cut_out, soft_alpha, transform, vary_colour
from toolkit.errors import InputError

RED, BLUE = (200, 10, 20), (5, 30, 220)


def photo_with_square(top=10, left=20, size=8, height=40, width=50):
    image = np.full((height, width, 3), BLUE, np.uint8)
    mask = np.zeros((height, width), bool)
    mask[top : top + size, left : left + size] = True
    image[mask] = RED
    return image, mask


def test_cut_out_is_the_box_with_a_margin():
    image, mask = photo_with_square()
    cutout = cut_out(image, mask, feather=1.0, margin=2)
    assert cutout.mask.shape == (12, 12)
    assert cutout.area == 64
    assert cutout.mask[2:10, 2:10].all()


def test_cut_out_keeps_no_colour_of_the_background():
    image, mask = photo_with_square()
    cutout = cut_out(image, mask)
    assert (cutout.image == np.array(RED)).all()


def test_cut_out_at_the_border_still_has_its_margin():
    image, mask = photo_with_square(top=0, left=0)
    cutout = cut_out(image, mask, margin=3)
    assert cutout.mask.shape == (14, 14)
    assert not cutout.mask[:3].any()


def test_soft_alpha_is_a_ramp_of_quarters():
    mask = np.zeros((7, 20), bool)
    mask[:, 10:] = True
    row = soft_alpha(mask, feather=1.0)[3]
    # columns 9 and 10 lie half a pixel from the boundary: 0.5 ± 0.25
    assert row[8:12].tolist() == [0, 64, 191, 255]
    assert soft_alpha(mask, feather=0)[3].tolist() == [0] * 10 + [255] * 10


def test_bleed_takes_the_nearest_colour():
    image = np.zeros((1, 6, 3), np.uint8)
    image[0, 0], image[0, 5] = RED, BLUE
    mask = np.array([[True, False, False, False, False, True]])
    assert bleed(image, mask)[0, :, 0].tolist() == [200, 200, 200, 5, 5, 5]


@pytest.mark.parametrize("scale", [0.3, 0.5, 1.0, 1.7])
def test_transform_scales_the_area(scale):
    image, mask = photo_with_square(size=40, height=60, width=80)
    changed = transform(cut_out(image, mask), scale=scale)
    assert np.sqrt(changed.area) == pytest.approx(40 * scale, abs=1.0)


def test_quarter_turns_and_flips_are_exact():
    image, mask = photo_with_square()
    mask[10:14, 20:22] = False  # break the symmetry
    cutout = cut_out(image, mask, margin=2)
    core = cutout.mask[2:-2, 2:-2]
    for quarter in range(4):
        turned = transform(cutout, angle=90.0 * quarter)
        assert np.array_equal(turned.mask[2:-2, 2:-2], np.rot90(core, quarter))
    assert np.array_equal(transform(cutout, flip=True).mask[2:-2, 2:-2], core[:, ::-1])


def test_transform_to_nothing_is_none():
    image, mask = photo_with_square(size=1)
    assert transform(cut_out(image, mask, margin=4), scale=0.1) is None


def test_vary_colour_clips():
    image, mask = photo_with_square()
    varied = vary_colour(cut_out(image, mask), gain=np.array([2.0, 1.0, 1.0]), offset=np.array([0, -20, 5]))
    assert varied.image[5, 5].tolist() == [255, 0, 25]


def test_bad_masks_are_refused():
    image, mask = photo_with_square()
    with pytest.raises(InputError, match="empty"):
        cut_out(image, np.zeros_like(mask))
    with pytest.raises(InputError, match="50×40"):
        cut_out(image, mask[:5])
