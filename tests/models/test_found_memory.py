"""What a view remembers: nothing is found twice, and nothing but time depends on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.found_memory import FoundMemory
from models.one_click.finder import ObjectFinder
from models.one_click.found_object import FoundObject
from models.selector import Selector
from tests.helpers.networks import save_selector
from toolkit.clicks import Click


class CountingFinder(ObjectFinder):
    """Counts the groups of clicks that it was asked for."""

    asked = 0

    def find(self, encoded, groups, avoid=()):
        self.asked += len(groups)
        return super().find(encoded, groups, avoid)


@pytest.fixture(scope="module")
def selector(tmp_path_factory: pytest.TempPathFactory) -> Selector:
    folder: Path = save_selector(tmp_path_factory.mktemp("selector"))
    plain = Selector.load(folder, device="cpu", working_sizes=(128,))
    return Selector(replace(plain.models, finder=CountingFinder(plain.models.finder.model)), (128,))


def found(point: tuple[float, float]) -> FoundObject:
    return FoundObject(np.ones((2, 3), np.float32), 0, 0, 0.5, (point,))


def test_the_oldest_points_go_and_masks_are_weighed() -> None:
    memory = FoundMemory(most=2)
    items = [found((1, 1)), found((2, 2)), None]
    memory.keep([(1, 1), (2, 2)], items[:2])
    assert memory.nbytes == 2 * 6 * 4
    assert memory.get((1, 1)) is not None  # used last, so the other one is the oldest
    memory.keep([(3, 3)], [None])
    assert memory.get((2, 2)) is None
    known = memory.get((3, 3))
    assert known is not None
    assert known.found is None  # nothing lies there, and that is known


def test_embeddings_belong_to_the_object_that_was_found() -> None:
    memory = FoundMemory()
    one, twin = found((1, 1)), found((1, 1))
    memory.keep([(1, 1)], [one])
    memory.keep_embeddings([one, twin], [torch.ones(4), torch.zeros(4)])
    mine, other = memory.embeddings([one, twin])
    assert mine is not None
    assert mine.tolist() == [1, 1, 1, 1]
    assert other is None
    assert memory.nbytes == 6 * 4 + 4 * 4


def test_points_are_found_once_and_answered_alike(selector: Selector, rng: np.random.Generator) -> None:
    photo = rng.integers(0, 256, (96, 128, 3)).astype(np.uint8)
    finder = selector.models.finder
    assert isinstance(finder, CountingFinder)
    (view,) = selector.encode(photo).views
    points = [(20.0, 30.0), (60.0, 50.0), (20.0, 30.0)]

    def ask(groups: Sequence[tuple[float, float]]) -> list[FoundObject | None]:
        return view.find([[point] for point in groups])

    finder.asked = 0
    first, second, again = ask(points)
    assert finder.asked == 2  # one of the three twice
    assert again is first
    assert ask(points[1:])[0] is second
    assert finder.asked == 2
    view.find([points[:2]])  # several clicks on one object are another question
    view.find([points[:1]], [points[1]])  # so is a click with a point to avoid
    assert finder.asked == 4


def test_a_later_selection_is_that_of_a_fresh_scene(selector: Selector, rng: np.random.Generator) -> None:
    photo = rng.integers(0, 256, (96, 128, 3)).astype(np.uint8)
    used = selector.encode(photo)
    used.select_similar(Click(40, 40))
    for click in (Click(40, 40), Click(90, 60)):
        mine, theirs = used.select_similar(click), selector.encode(photo).select_similar(click)
        assert len(mine) == len(theirs) > 1
        for a, b in zip(mine, theirs, strict=True):
            assert np.array_equal(a.mask, b.mask)
            assert a.score == pytest.approx(b.score, abs=1e-5)
