"""Samples for CPN and PVM."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.data.canvas import Canvas, CanvasObject
from models.data.composer import FIRST_PASTED_GROUP
from models.data.group_samples import GroupSample, collate_groups, draw_further, make_group_sample
from tests.helpers.masks import disk, ring

SIZE = 64


def sample_of(
    *objects: tuple[np.ndarray, int], elsewhere: int = 0, limit: int = 40, seed: int = 0
) -> GroupSample:
    items = [CanvasObject(mask, group, float(mask.sum())) for mask, group in objects]
    canvas = Canvas(np.full((SIZE, SIZE, 3), 50, np.uint8), items)
    return make_group_sample(canvas, np.random.default_rng(seed), limit, elsewhere)


def rectangle(x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[y1:y2, x1:x2] = True
    return mask


def test_an_object_described_by_hand() -> None:
    (item,) = sample_of((rectangle(8, 20, 30, 26), 3)).objects
    assert item.group == 3
    assert item.center == (19, 23)
    assert item.diameter == 6
    assert 8 <= item.click[0] < 30
    assert 20 <= item.click[1] < 26
    # blocks of 4 × 4: columns 2–6 in full and half of 7; rows 5 in full and half of 6
    expected = np.zeros((16, 16))
    expected[5, 2:7], expected[6, 2:7], expected[5, 7], expected[6, 7] = 255, 127, 127, 63
    assert np.array_equal(item.coverage, expected)
    assert item.coverage.dtype == np.uint8


def test_the_centre_of_a_ring_lies_on_the_ring() -> None:
    mask = ring(SIZE, SIZE, 30, 30, 16, 8)
    (item,) = sample_of((mask, 0)).objects
    x, y = item.center
    assert mask[int(y), int(x)]
    assert np.hypot(x - 30, y - 30) == pytest.approx(12, abs=1.5)  # halfway between the two borders
    assert item.diameter == 32
    moon = disk(SIZE, SIZE, 30, 30, 16) & ~disk(SIZE, SIZE, 24, 30, 16)
    (item,) = sample_of((moon, 0)).objects
    assert moon[int(item.center[1]), int(item.center[0])]


def test_the_target_is_drawn_from_a_group_of_several() -> None:
    objects = [(rectangle(12 * i, 0, 12 * i + 8, 8), group) for i, group in enumerate([5, 6, 5, 7, 7])]
    targets = {sample_of(*objects, seed=seed).target for seed in range(40)}
    assert targets == {0, 2, 3, 4}
    alone = [(rectangle(12 * i, 0, 12 * i + 8, 8), i) for i in range(3)]
    assert {sample_of(*alone, seed=seed).target for seed in range(40)} == {0, 1, 2}
    assert sample_of().target is None
    assert sample_of((rectangle(0, 0, 3, 3), 0)).objects == []  # too small to be clicked


def test_further_targets_are_of_other_groups_of_several() -> None:
    groups = [5, 6, 5, 7, 7, 8, 8]
    sample = replace(
        sample_of(*((rectangle(9 * i, 0, 9 * i + 8, 8), group) for i, group in enumerate(groups))), target=3
    )
    drawn = {draw_further(sample, np.random.default_rng(seed), 1) for seed in range(40)}
    assert drawn == {(0,), (2,), (5,), (6,)}
    for seed in range(10):
        both = draw_further(sample, np.random.default_rng(seed), 5)
        assert sorted(groups[index] for index in both) == [5, 8]
    assert draw_further(sample, np.random.default_rng(0), 0) == ()
    assert draw_further(replace(sample, target=None), np.random.default_rng(0), 5) == ()


def test_points_elsewhere_lie_on_no_object() -> None:
    speck = rectangle(0, 0, 64, 1)  # not hidden enough to be left out, and one that is too small
    objects = [(rectangle(0, 8, 64, 40), 0), (speck, 1), (rectangle(60, 60, 62, 62), 2)]
    for seed in range(20):
        sample = sample_of(*objects, elsewhere=6, seed=seed)
        assert 0 < len(sample.elsewhere) <= 6
        for x, y in sample.elsewhere:
            assert 0 <= x < SIZE
            assert 0 <= y < SIZE
            assert not any(mask[int(y), int(x)] for mask, _ in objects)
    assert sample_of((np.ones((SIZE, SIZE), bool), 0), elsewhere=3).elsewhere == []
    assert sample_of(*objects).elsewhere == []


def test_the_number_of_objects_is_limited() -> None:
    objects = [(rectangle(8 * i, 0, 8 * i + 6, 8), i) for i in range(8)]
    kept = [tuple(o.group for o in sample_of(*objects, limit=3, seed=seed).objects) for seed in range(30)]
    assert {len(k) for k in kept} == {3}
    assert all(k == tuple(sorted(k)) for k in kept)
    assert {g for k in kept for g in k} == set(range(8))


def test_a_group_is_complete_unless_its_kind_lies_elsewhere_too() -> None:
    places = [rectangle(12 * i, 0, 12 * i + 8, 8) for i in range(5)]

    def complete(*objects: tuple[int, int, int, bool]) -> list[bool]:
        """Of (group, kind, photo, complete as far as its own photo says)."""
        items = [
            CanvasObject(mask, group, float(mask.sum()), kind, photo, known)
            for mask, (group, kind, photo, known) in zip(places, objects, strict=False)
        ]
        canvas = Canvas(np.zeros((SIZE, SIZE, 3), np.uint8), items)
        return [o.complete for o in make_group_sample(canvas, np.random.default_rng(0), 40, 0).objects]

    pasted = FIRST_PASTED_GROUP
    assert complete((pasted, 4, 9, True), (pasted, 4, 9, True), (1, 5, 0, False)) == [True, True, False]
    assert complete((pasted, 4, 9, True), (1, 4, 0, False)) == [False, False]
    assert complete((1, 4, 0, True), (2, 4, 0, True)) == [
        True,
        True,
    ]  # two groups of one photo that labels all
    assert complete((1, 4, 0, True), (2, 4, 3, True)) == [False, False]


def test_siblings_cover_the_targets_whole_group() -> None:
    hidden = rectangle(48, 4, 51, 7)  # too small to be clicked, but a sibling all the same
    sample = sample_of((rectangle(0, 0, 8, 8), 3), (rectangle(16, 0, 24, 8), 3), (hidden, 3))
    assert len(sample.objects) == 2
    assert sample.siblings is not None
    expected = np.zeros((16, 16))
    expected[0:2, 0:2] = expected[0:2, 4:6] = 255
    expected[1, 12] = 143  # 9 of 16 pixels
    assert np.array_equal(sample.siblings, expected)
    assert sample_of().siblings is None


def test_collate_keeps_the_samples() -> None:
    samples = [sample_of((rectangle(0, 0, 8, 8), 3)), sample_of()]
    batch = collate_groups(samples)
    assert batch.image.shape == (2, 3, SIZE, SIZE)
    assert batch.image.dtype == torch.uint8
    assert (batch.image == 50).all()
    assert batch.samples == samples
    assert batch.to(torch.device("cpu")).samples is batch.samples
