"""Light, colour, noise and compression, against values worked out by hand and Pillow's tables."""

import io

import numpy as np
import pytest
from PIL import Image

from synth.compositing.matching import (
    estimate_noise,
    jpeg_quality,
    match_jpeg,
    match_light,
    match_noise,
    mean_colour,
)
from synth.photos import file_quality
from toolkit.cutouts import cut_out


def plain_cutout(colour, size=20):
    image = np.full((size + 10, size + 10, 3), colour, np.uint8)
    mask = np.zeros(image.shape[:2], bool)
    mask[5:-5, 5:-5] = True
    return cut_out(image, mask)


def test_full_light_takes_the_brightness_of_the_region():
    lit = match_light(plain_cutout((100, 100, 100)), np.array([150.0, 150.0, 150.0]), light=1.0, colour=0.0)
    assert mean_colour(lit.image, lit.mask) == pytest.approx([150, 150, 150], abs=1)


def test_half_light_is_the_geometric_middle():
    lit = match_light(plain_cutout((100, 100, 100)), np.array([144.0, 144.0, 144.0]), light=0.5, colour=0.0)
    assert mean_colour(lit.image, lit.mask) == pytest.approx([120, 120, 120], abs=1)


def test_gains_are_limited():
    lit = match_light(plain_cutout((40, 40, 40)), np.array([250.0, 250.0, 250.0]), light=1.0, colour=0.0)
    assert mean_colour(lit.image, lit.mask) == pytest.approx([64, 64, 64], abs=1)  # 1.6 times


def test_colour_moves_the_cast_and_not_the_brightness():
    warm = np.array([150.0, 120.0, 100.0])
    lit = match_light(plain_cutout((120, 120, 120)), warm, light=0.0, colour=1.0)
    red, _, blue = mean_colour(lit.image, lit.mask)
    assert red > 122 > 118 > blue
    assert mean_colour(lit.image, lit.mask) @ [0.299, 0.587, 0.114] == pytest.approx(120, abs=1.5)


@pytest.mark.parametrize("sigma", [1.0, 3.0, 6.0])
def test_noise_is_measured(sigma):
    rng = np.random.default_rng(0)
    grey = np.clip(128 + rng.normal(0, sigma, (200, 200, 1)), 0, 255)
    image = np.repeat(np.rint(grey).astype(np.uint8), 3, axis=2)
    image[:, 100:] //= 2  # an edge is no noise
    left = np.zeros((200, 200), bool)
    left[:, :100] = True
    assert estimate_noise(image, left) == pytest.approx(sigma, rel=0.15, abs=0.15)


def test_noise_is_added_up_to_the_photo_s():
    noisy = match_noise(plain_cutout((128, 128, 128), size=100), 5.0, np.random.default_rng(0))
    assert estimate_noise(noisy.image, noisy.mask) == pytest.approx(5.0, rel=0.15)
    again = match_noise(noisy, 4.0, np.random.default_rng(0))
    assert again is noisy  # it has more already


def test_jpeg_once_changes_little_and_keeps_the_mask():
    rng = np.random.default_rng(1)
    cutout = plain_cutout((128, 128, 128), size=40)
    textured = match_noise(cutout, 10.0, rng)
    low, high = match_jpeg(textured, 20), match_jpeg(textured, 98)
    error = [np.abs(one.image.astype(int) - textured.image).mean() for one in (low, high)]
    assert error[0] > 2 * error[1] > 0
    assert low.mask is textured.mask


@pytest.mark.parametrize("quality", [20, 50, 75, 92, 98])
def test_quality_is_read_from_the_tables_that_pillow_writes(quality, tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (90, 20, 200)).save(buffer, "JPEG", quality=quality)
    path = tmp_path / "photo.jpg"
    path.write_bytes(buffer.getvalue())
    assert file_quality(path) == pytest.approx(quality, abs=1)
    assert jpeg_quality(3688.0) == 50


def test_a_png_has_no_quality(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "photo.png")
    assert file_quality(tmp_path / "photo.png") is None
