"""Many objects sampled at once, against each of them alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models import sampling
from models.placed_object import SAMPLES, PlacedObject
from models.sampling import in_masks, measure
from tests.helpers.placed import blob, clicked, rectangle


def some(rng: np.random.Generator) -> list[PlacedObject]:
    """Objects of several scales."""
    return [blob(rng, scale) for scale in (0.5, 1.0, 2.0) for _ in range(5)]


def of_each_alone(
    objects: list[PlacedObject], chosen: np.ndarray, starts: np.ndarray, steps: np.ndarray
) -> np.ndarray:
    """The logits at 9 × 9 points of each lattice."""
    lattices = zip(chosen, starts, steps, strict=True)
    return np.array(
        [objects[i].values(x, y, (across, down), (9, 9)) for i, (x, y), (across, down) in lattices]
    )


def test_points_in_masks(rng: np.random.Generator) -> None:
    objects = some(rng)
    chosen = rng.integers(0, len(objects), 60)
    starts, steps = rng.uniform(-10, 90, (60, 2)), rng.uniform(0.5, 6, (60, 2))
    found = in_masks(objects, chosen, starts, steps, 9)
    values = of_each_alone(objects, chosen, starts, steps)
    differs = found != (values > 0)
    assert 0.05 < found.mean() < 0.5
    # OpenCV rounds places to 1/32 cell, and here not to the same
    assert np.abs(values[differs]).max(initial=0) < 0.1
    assert differs.mean() < 0.01


def test_many_points_take_several_images(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = some(rng)
    chosen = rng.integers(0, len(objects), 40)
    starts, steps = rng.uniform(0, 80, (40, 2)), rng.uniform(0.5, 6, (40, 2))
    whole = in_masks(objects, chosen, starts, steps, 9)
    asked = []
    at_once = sampling._in_masks
    monkeypatch.setattr(sampling, "MOST_ROWS", 40)  # lattices of 9 rows each, or masks of 4 to 11
    monkeypatch.setattr(sampling, "_in_masks", lambda *given: asked.append(given[1]) or at_once(*given))
    np.testing.assert_array_equal(in_masks(objects, chosen, starts, steps, 9), whole)
    assert sum(len(own) for own in asked) == 40
    assert max(len(own) for own in asked) <= 4
    heights = [sum(len(objects[i].found.logits) for i in set(own.tolist())) for own in asked]
    assert 20 < max(heights) <= 40


def test_measures_are_those_of_each_alone(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [*some(rng), rectangle(0, 0, 8, 3), clicked(rectangle(1, 2, 3, 7), (20.0, 10.0))]
    alone = [replace(item) for item in objects]
    monkeypatch.setattr(sampling, "MOST_ROWS", 5 * (SAMPLES + 3))
    measure(objects)
    for item, other in zip(objects, alone, strict=True):
        assert {"own_samples", "depth"} <= vars(item).keys()
        assert not {"own_samples", "depth"} & vars(other).keys()
        assert np.mean(item.own_samples != other.own_samples) < 0.01
        assert item.depth == pytest.approx(other.depth, abs=0.1)
    exact = [
        item.depth == pytest.approx(other.depth, abs=1e-6) for item, other in zip(objects, alone, strict=True)
    ]
    assert np.mean(exact) > 0.8


def test_nothing_to_measure() -> None:
    measure([])
    assert in_masks([], np.zeros(0, int), np.zeros((0, 2)), np.zeros((0, 2)), 4).shape == (0, 4, 4)
