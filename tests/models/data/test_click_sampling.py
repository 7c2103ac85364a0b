"""Training clicks lie deep inside their object."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import ndimage

from models.data.click_sampling import interior_distance, sample_clicks
from tests.helpers.masks import disk, masks


@given(mask=masks(), seed=st.integers(0, 1000))
def test_clicks_are_pixel_centres_inside(mask: np.ndarray, seed: int) -> None:
    assume(mask.any())
    for x, y in sample_clicks(mask, np.random.default_rng(seed), single_probability=0.0):
        assert mask[int(y), int(x)]
        assert x % 1 == y % 1 == 0.5


def test_clicks_are_at_least_a_third_of_the_depth_inside(rng: np.random.Generator) -> None:
    mask = disk(60, 70, 30, 28, 20)
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    clicks = [click for _ in range(200) for click in sample_clicks(mask, rng)]
    relative = np.array([depth[int(y), int(x)] for x, y in clicks]) / depth.max()
    assert relative.min() > 0.25  # 0.3, in OpenCV's approximate distance
    assert relative.max() > 0.95
    # at least 1 - 0.7 u², u even from 0 to 1: half of them are deeper than 0.825
    assert np.median(relative) > 0.8
    assert len(set(clicks)) > 100


def test_one_click_or_two_to_five(rng: np.random.Generator) -> None:
    mask = np.ones((9, 9), bool)
    counts = np.bincount([len(sample_clicks(mask, rng)) for _ in range(2000)], minlength=7)
    assert counts[0] == counts[6:].sum() == 0
    assert counts[1] / 2000 == pytest.approx(0.6, abs=0.05)
    assert all(counts[n] / 2000 == pytest.approx(0.1, abs=0.03) for n in (2, 3, 4, 5))
    assert {len(sample_clicks(mask, rng, single_probability=1.0)) for _ in range(50)} == {1}


def test_interior_distance_is_that_of_the_box() -> None:
    mask = np.zeros((20, 30), bool)
    mask[5:10, 7:18] = True
    mask[7, 12] = False
    distance, top, left = interior_distance(mask)
    assert (distance.shape, top, left) == ((5, 11), 5, 7)
    assert distance[2, 5] == 0
    assert distance[0, 0] == pytest.approx(1, abs=0.05)  # what lies beyond the box is outside
    assert distance[2, 2] == pytest.approx(3, rel=0.05)  # three steps to the left end and to the hole


def test_an_object_that_fills_the_picture() -> None:
    distance, top, left = interior_distance(np.ones((7, 7), bool))
    assert (top, left) == (0, 0)
    assert distance.argmax() == 3 * 7 + 3
