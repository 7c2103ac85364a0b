"""Simulated clicks: how many, where, and what comes next."""

from __future__ import annotations

import numpy as np
import pytest

from models.systems.clicking.points import (
    PointSampling,
    border_region,
    eroded,
    geometric_count,
    next_training_point,
    sample_points,
)
from tests.helpers.systems import box_mask


def test_counts_fall_geometrically() -> None:
    rng = np.random.default_rng(0)
    drawn = np.bincount([geometric_count(rng, 3, 0.5) for _ in range(6000)], minlength=4)
    assert drawn / 6000 == pytest.approx(np.array([8, 4, 2, 1]) / 15, abs=0.02)


def test_an_eroded_mask_lacks_three_pixels() -> None:
    mask = np.zeros((40, 40), bool)
    mask[5:25, 10:30] = True
    inner = np.zeros_like(mask)
    inner[8:22, 13:27] = True
    assert np.array_equal(eroded(mask), inner)
    small = np.zeros_like(mask)
    small[5:14, 5:14] = True  # 3 × 3 = 9 pixels would be left: too few
    assert eroded(small) is small


def test_the_border_is_a_tenth_of_the_objects_size() -> None:
    mask = np.zeros((60, 60), bool)
    mask[20:40, 20:40] = True  # √400 · 0.1 = 2 pixels
    ring = np.zeros_like(mask)
    ring[18:42, 18:42] = True
    assert np.array_equal(border_region(mask), ring & ~mask)


def test_points_lie_where_they_should() -> None:
    mask, other = np.zeros((64, 64), bool), np.zeros((64, 64), bool)
    mask[10:40, 10:40] = True
    other[45:60, 45:60] = True
    places = {"background": 0, "other": 0, "border": 0}
    counts = []
    for seed in range(300):
        points = sample_points(mask, [other], np.random.default_rng(seed), PointSampling())
        assert points.shape == (48, 3)
        assert points.dtype == np.float32
        kinds = points[:, 2]
        positives, negatives = int((kinds == 1).sum()), int((kinds == 0).sum())
        assert 1 <= positives <= 24
        assert negatives <= 24
        assert (kinds[positives + negatives :] == -1).all()
        counts.append((positives, negatives))
        for x, y, kind in points[: positives + negatives]:
            assert (x % 1, y % 1) == (0.5, 0.5)
            row, column = int(y), int(x)
            if kind == 1:
                assert mask[row, column]
            elif other[row, column]:
                places["other"] += 1
            elif border_region(mask)[row, column]:
                places["border"] += 1
            else:
                assert not mask[row, column]
                places["background"] += 1
    shares = np.array(list(places.values())) / sum(places.values())
    assert shares == pytest.approx([0.1, 0.4, 0.5], abs=0.06)
    k = np.arange(25)
    weights = 0.8**k / (0.8**k).sum()
    assert np.mean(counts, axis=0) == pytest.approx([1 + (k[:24] * 0.8**k[:24] / (0.8**k[:24]).sum()).sum(),
                                                     (k * weights).sum()], rel=0.15)  # fmt: skip


def test_pictures_without_object_or_others() -> None:
    empty = np.zeros((32, 32), bool)
    sampling = PointSampling(elsewhere=(0, 1, 0))
    points = sample_points(empty, [], np.random.default_rng(1), sampling)
    assert (points == -1).all()  # nothing to click on, and no other object to avoid


def test_the_next_point_goes_into_the_larger_error() -> None:
    truth, prediction = np.zeros((50, 50), bool), np.zeros((50, 50), bool)
    truth[10:31, 10:31] = True  # 21 × 21: distances up to 11
    prediction[35:44, 35:44] = True  # 9 × 9: up to 5
    seen = set()
    for seed in range(400):
        found = next_training_point(truth, prediction, np.random.default_rng(seed))
        assert found is not None
        x, y, kind = found
        assert kind == 1
        seen.add((int(x), int(y)))
    # distances above 11 / 2: from the sixth ring on, columns 15…25
    assert {x for x, _ in seen} == {y for _, y in seen} == set(range(15, 26))


def test_a_wrong_area_gives_a_negative_point() -> None:
    truth = box_mask(0, 0, 40, 20, (40, 40))
    everything = np.ones((40, 40), bool)
    found = next_training_point(truth, everything, np.random.default_rng(0))
    assert found is not None
    assert found[2] == 0
    assert not truth[int(found[1]), int(found[0])]
    assert next_training_point(truth, truth, np.random.default_rng(0)) is None
