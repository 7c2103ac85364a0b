"""Samples for the mask refiner."""

from __future__ import annotations

import numpy as np
import torch

from models.data.canvas import Canvas, CanvasObject
from models.data.refiner_samples import DRAWS, collate_refiner, make_refiner_sample


def canvas_of(count: int, side: int = 32) -> Canvas:
    """Squares of 8 pixels in a row, and one that is hidden for the most part."""
    objects = []
    for index in range(count):
        mask = np.zeros((side, side), bool)
        mask[4:12, 8 * index : 8 * index + 8] = True
        objects.append(CanvasObject(mask, index, 64.0))
    hidden = np.zeros((side, side), bool)
    hidden[20:25, 20:25] = True
    objects.append(CanvasObject(hidden, count, 1000.0))
    return Canvas(np.zeros((side, side, 3), np.uint8), objects)


def test_every_object_is_clicked_inside() -> None:
    sample = make_refiner_sample(canvas_of(4), np.random.default_rng(0), 10, 0.5)
    assert sample.masks.shape == (4, 32, 32)
    assert {int(mask.nonzero()[1].min()) for mask in sample.masks} == {0, 8, 16, 24}
    for mask, clicks in zip(sample.masks, sample.clicks, strict=True):
        assert 1 <= len(clicks) <= 5
        assert all(mask[int(y), int(x)] for x, y in clicks)
    assert sample.draws.shape == (4, DRAWS)
    assert ((sample.draws >= 0) & (sample.draws < 1)).all()


def test_at_most_so_many_objects() -> None:
    assert len(make_refiner_sample(canvas_of(4), np.random.default_rng(1), 2, 1.0).clicks) == 2


def test_a_picture_without_objects() -> None:
    sample = make_refiner_sample(canvas_of(0), np.random.default_rng(0), 10, 0.5)
    assert (sample.masks.shape, sample.clicks) == ((0, 32, 32), [])
    batch = collate_refiner([sample, sample])
    assert batch.image.shape == (2, 3, 32, 32)
    assert batch.to(torch.device("cpu")).samples == batch.samples
