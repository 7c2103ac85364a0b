"""The fast search answers as the literal algorithm does, paste after paste."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from synth.placement import FreeSpace, count_copies, distance_map, literal_peak
from toolkit.blending import PlacedMask


def blobs(rng, height, width):
    """A ragged region: some discs and boxes minus others."""
    yy, xx = np.mgrid[:height, :width]
    region = np.zeros((height, width), bool)
    for step in range(int(rng.integers(1, 9))):
        cy, cx = rng.integers(0, height), rng.integers(0, width)
        if rng.random() < 0.5:
            shape = (yy - cy) ** 2 + (xx - cx) ** 2 <= rng.integers(1, max(height, width) + 1) ** 2 / 4
        else:
            shape = (abs(yy - cy) < rng.integers(1, height + 1)) & (abs(xx - cx) < rng.integers(1, width + 1))
        region = region & ~shape if step % 3 == 2 else region | shape
    return region


def random_object(rng, peak, height, width):
    """A mask of some shape around a point, clipped to the photo."""
    h, w = int(rng.integers(1, 12)), int(rng.integers(1, 12))
    mask = np.zeros((height + 40, width + 40), bool)
    y, x = peak[1] - h // 2 + 20, peak[0] - w // 2 + 20
    mask[y : y + h, x : x + w] = rng.random((h, w)) < 0.8
    return PlacedMask.from_full(mask[20:-20, 20:-20])


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([None, 1, 2, 4, 8]), st.booleans())
def test_every_peak_is_the_literal_one(seed, stride, widen):
    rng = np.random.default_rng(seed)
    height, width = int(rng.integers(1, 90)), int(rng.integers(1, 90))
    free = blobs(rng, height, width)
    space = FreeSpace(free, stride)
    gap = 2.0 if widen else 0.0
    for _ in range(8):
        expected = literal_peak(free)
        found = space.peak()
        assert (found and (found.x, found.y, found.squared)) == expected
        if expected is None:
            break
        placed = random_object(rng, expected, height, width)
        space.remove(placed, gap)
        full = placed.full(height, width)
        if widen and full.any():
            full = ndimage.distance_transform_edt(~full) <= gap
        free = free & ~full
        assert np.array_equal(space.free(height, width), free)
        assert space.area == free.sum()


def test_literal_map_is_the_exact_transform_of_the_padded_region():
    free = blobs(np.random.default_rng(5), 70, 50)
    exact = ndimage.distance_transform_edt(np.pad(free, 1))[1:-1, 1:-1]
    assert np.allclose(distance_map(free), exact, atol=1e-4)


def test_the_middle_of_a_square():
    free = np.zeros((40, 60), bool)
    free[5:26, 10:31] = True  # 21 wide: the centre lies 11 from the nearest pixel outside
    peak = FreeSpace(free).peak()
    assert (peak.x, peak.y, peak.distance) == (20, 15, 11.0)


def test_a_region_cut_by_the_border_is_deepest_inside():
    peak = FreeSpace(np.ones((21, 21), bool)).peak()
    assert (peak.x, peak.y, peak.squared) == (10, 10, 121)


def test_nothing_free_has_no_peak():
    assert FreeSpace(np.zeros((10, 10), bool)).peak() is None
    space = FreeSpace(np.ones((3, 3), bool))
    space.remove(PlacedMask(0, 0, np.ones((3, 3), bool)))
    assert space.peak() is None
    assert space.area == 0


def test_share_free_counts_pixels():
    free = np.zeros((20, 20), bool)
    free[:, :10] = True
    space = FreeSpace(free)
    assert space.share_free(PlacedMask(8, 3, np.ones((4, 4), bool))) == 0.5
    assert space.share_free(PlacedMask(15, 3, np.ones((4, 4), bool))) == 0.0


@pytest.mark.parametrize(
    ("area", "region", "copies"),
    [(100, 100_000, 10), (2000, 100_000, 5), (3000, 100_000, 3), (50_000, 100_000, 1), (0, 100_000, 0)],
)
def test_copies_by_the_area_ratio(area, region, copies):
    assert count_copies(area, region, coverage=0.1) == copies
