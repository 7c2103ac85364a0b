"""Samples for 1C-DSN."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.data.canvas import Canvas, CanvasObject
from models.data.one_click_samples import clickable, collate, make_samples


def canvas_of(*boxes: tuple[int, int, int, int], size: int = 32, whole: float | None = None) -> Canvas:
    """Objects that fill their boxes (x1, y1, x2, y2)."""
    objects = []
    for group, (x1, y1, x2, y2) in enumerate(boxes):
        mask = np.zeros((size, size), bool)
        mask[y1:y2, x1:x2] = True
        objects.append(CanvasObject(mask, group, whole or float(mask.sum())))
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3)).astype(np.uint8)
    return Canvas(image, objects)


def test_what_can_be_clicked() -> None:
    canvas = canvas_of((0, 0, 4, 4), (5, 5, 8, 10), (10, 10, 20, 20))  # 16, 15 and 100 pixels
    assert [o.group for o in clickable(canvas)] == [0, 2]
    canvas.objects[2].whole = 333.0
    assert [o.group for o in clickable(canvas)] == [0, 2]  # 0.3003 of it can be seen
    canvas.objects[2].whole = 334.0
    assert [o.group for o in clickable(canvas)] == [0]


@pytest.mark.parametrize(
    ("objects", "limit", "clicked"), [(1, 9, 1), (2, 9, 1), (3, 9, 1), (5, 9, 2), (8, 9, 4), (8, 3, 3)]
)
def test_at_most_half_are_clicked(objects: int, limit: int, clicked: int) -> None:
    boxes = [(4 * i, 0, 4 * i + 4, 8) for i in range(objects)]
    chosen = set()
    for seed in range(30):
        [sample] = make_samples(canvas_of(*boxes), np.random.default_rng(seed), limit)
        assert len(sample.boxes) == len(sample.centers) == len(sample.masks) == clicked
        of_click = {int(x) // 4 for x, _ in sample.clicks}
        assert of_click == {int(b[0]) // 4 for b in sample.boxes}  # clicks on just those
        assert clicked <= len(sample.clicks) <= 5 * clicked
        chosen |= of_click
    assert chosen == set(range(objects))  # any may be clicked


@pytest.mark.parametrize(
    ("objects", "limit", "clicked"),
    [(0, 9, [0, 0]), (1, 9, [1, 0]), (5, 9, [2, 2]), (8, 9, [4, 4]), (8, 3, [3, 3])],
)
def test_a_later_set_of_clicks_takes_other_objects(objects: int, limit: int, clicked: list[int]) -> None:
    canvas = canvas_of(*[(4 * i, 0, 4 * i + 4, 8) for i in range(objects)])
    for seed in range(10):
        samples = make_samples(canvas, np.random.default_rng(seed), limit, click_sets=2)
        assert [len(sample.boxes) for sample in samples] == clicked
        first, second = ({int(x) // 4 for x, _ in sample.clicks} for sample in samples)
        assert not first & second
        assert second == {int(box[0]) // 4 for box in samples[1].boxes}
        assert np.array_equal(samples[0].image, samples[1].image)


def test_a_network_without_clicks_learns_all_objects() -> None:
    boxes = [(4 * i, 0, 4 * i + 4, 8) for i in range(8)]
    [sample] = make_samples(canvas_of(*boxes), np.random.default_rng(0), limit=3, click=False)
    assert sample.boxes.tolist() == [list(box) for box in boxes]
    assert sample.clicks == []


def test_targets_by_hand() -> None:
    canvas = canvas_of((4, 6, 12, 10))
    canvas.objects[0].mask[6, 4:8] = False  # now an L: 28 pixels
    [sample] = make_samples(canvas, np.random.default_rng(0), 10)
    assert np.array_equal(sample.image, canvas.image.transpose(2, 0, 1))
    assert sample.boxes.tolist() == [[4, 6, 12, 10]]
    xs = (8 * 3 * 8 + 4 * 10) / 28  # three rows of 8 around x = 8, half a row of 4 around x = 10
    ys = (8 * (7.5 + 8.5 + 9.5) + 4 * 6.5) / 28
    np.testing.assert_allclose(sample.centers, [[xs, ys]], rtol=1e-6)
    # at stride 2 the pixels in the cells' middle: rows 1, 3, 5, … and columns 1, 3, 5, …
    assert sample.masks.shape == (1, 16, 16)
    assert sample.masks.dtype == np.uint8
    assert np.array_equal(sample.masks[0], canvas.objects[0].mask[1::2, 1::2])
    assert np.argwhere(sample.masks[0]).min(0).tolist() == [3, 2]  # pixel (7, 5); of row 6 none


def test_a_picture_without_objects() -> None:
    [sample] = make_samples(canvas_of(), np.random.default_rng(0), 10)
    assert sample.boxes.shape == (0, 4)
    assert sample.centers.shape == (0, 2)
    assert sample.masks.shape == (0, 16, 16)
    assert sample.clicks == []


def test_collate_makes_one_batch() -> None:
    samples = [
        make_samples(canvas_of(*boxes), np.random.default_rng(1), 10)
        for boxes in ([(4, 6, 12, 10)], [], [(0, 0, 8, 8), (16, 16, 24, 24), (8, 16, 14, 30), (20, 0, 30, 9)])
    ]
    batch = collate(samples)
    assert batch.image.shape == (3, 3, 32, 32)
    assert batch.image.dtype == torch.uint8
    assert [t.boxes.shape[0] for t in batch.targets] == [1, 0, 2]
    assert [m.shape for m in batch.click_maps] == [(3, 1, 32 // s, 32 // s) for s in (4, 8, 16, 32)]
    for index, [sample] in enumerate(samples):
        cells = {(int(y // 4), int(x // 4)) for x, y in sample.clicks}
        assert {tuple(c) for c in batch.click_maps[0][index, 0].nonzero().tolist()} == cells
    moved = batch.to(torch.device("cpu"))
    assert torch.equal(moved.targets[2].masks, batch.targets[2].masks)
    assert torch.equal(moved.image, batch.image)


def test_collate_puts_first_sets_before_second_ones() -> None:
    samples = [
        make_samples(canvas_of(*boxes), np.random.default_rng(1), 10, click_sets=2)
        for boxes in ([(4, 6, 12, 10), (20, 20, 30, 30)], [(0, 0, 8, 8)])
    ]
    batch = collate(samples)
    assert batch.image.shape == (2, 3, 32, 32)
    assert [len(target.boxes) for target in batch.targets] == [1, 1, 1, 0]
    assert torch.equal(batch.targets[2].boxes, torch.from_numpy(samples[0][1].boxes))
    assert [m.shape for m in batch.click_maps] == [(4, 1, 32 // s, 32 // s) for s in (4, 8, 16, 32)]
    assert batch.click_maps[0].flatten(1).sum(1).gt(0).tolist() == [True, True, True, False]
