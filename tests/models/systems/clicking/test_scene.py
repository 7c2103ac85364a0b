"""Scenes that replay clicks: stateless from outside, one pass a click, bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest

from models.systems.clicking.scene import InteractiveScene, positive_first
from models.systems.clicking.stepper import ZoomStepper
from tests.helpers.clicking import tiny_ritm
from tests.helpers.pictures import group_photo
from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.systems import GroupScene, Scene


@dataclass(frozen=True)
class Squares:
    """A state whose mask holds a square around each positive click, and none around negative ones."""

    clicks: tuple[Click, ...]
    nbytes: int = 100

    def mask(self, height: int, width: int) -> np.ndarray:
        mask = np.zeros((height, width), bool)
        for click in self.clicks:
            mask[click.row - 2 : click.row + 3, click.column - 2 : click.column + 3] = click.positive
        return mask

    def score(self) -> float:
        return 0.5


class SquareStepper:
    """Counts its passes; checks that a state belongs to the clicks before."""

    def __init__(self) -> None:
        self.passes: list[int] = []

    def first(self, image: np.ndarray, clicks: Sequence[Click]) -> list[Squares]:
        self.passes.append(-len(clicks))
        return [Squares((click,)) for click in clicks]

    def following(self, image: np.ndarray, clicks: Sequence[Click], state: Squares) -> Squares:
        assert state.clicks == tuple(clicks[:-1])
        self.passes.append(len(clicks))
        return Squares(tuple(clicks))


IMAGE = np.zeros((40, 60, 3), np.uint8)
CLICKS = [Click(10.5, 10.5), Click(20.5, 10.5, positive=False), Click(30.5, 20.5), Click(40.5, 30.5)]


def test_a_further_click_costs_one_pass() -> None:
    stepper = SquareStepper()
    scene: Scene = InteractiveScene(IMAGE, stepper)
    assert not isinstance(scene, GroupScene)
    for count in range(1, 5):
        found = scene.segment(CLICKS[:count])
        assert found is not None
        assert found.mask.sum() == 25 * sum(click.positive for click in CLICKS[:count])
    assert stepper.passes == [-1, 2, 3, 4]
    scene.segment(CLICKS[:2])
    assert len(stepper.passes) == 4
    scene.segment([*CLICKS[:2], CLICKS[3]])  # branches off after the second
    assert stepper.passes[4:] == [3]


def test_answers_depend_on_the_clicks_alone() -> None:
    fresh = [InteractiveScene(IMAGE, SquareStepper()).segment(CLICKS[:count]) for count in range(1, 5)]
    scene = InteractiveScene(IMAGE, SquareStepper())
    for count in (4, 2, 3, 1, 4):
        found, expected = scene.segment(CLICKS[:count]), fresh[count - 1]
        assert found is not None
        assert expected is not None
        assert np.array_equal(found.mask, expected.mask)
        assert (found.box, found.score, found.click) == (expected.box, expected.score, CLICKS[0])


def test_memory_is_bounded_and_counted() -> None:
    stepper = SquareStepper()
    scene = InteractiveScene(IMAGE, stepper, memory=250)
    for click in CLICKS:
        scene.segment([Click(click.x, click.y)])
    assert scene.nbytes == IMAGE.nbytes + 200
    tight = InteractiveScene(IMAGE, stepper, memory=10)
    tight.segment(CLICKS)
    assert tight.nbytes == IMAGE.nbytes + 100  # the newest stays
    stepper.passes.clear()
    tight.segment([*CLICKS, Click(50.5, 30.5)])
    assert stepper.passes == [5]


def test_one_object_per_click_in_one_pass() -> None:
    stepper = SquareStepper()
    scene = InteractiveScene(IMAGE, stepper)
    first, second, again = scene.segment_each([CLICKS[0], CLICKS[2], CLICKS[0]])
    assert stepper.passes == [-2]
    assert first is not None
    assert second is not None
    assert again is not None
    assert np.array_equal(first.mask, again.mask)
    assert second.box == (28, 18, 33, 23)
    assert scene.segment_each([]) == []
    scene.segment([CLICKS[2]])
    assert stepper.passes == [-2]


def test_bad_clicks_are_named() -> None:
    scene = InteractiveScene(IMAGE, SquareStepper())
    with pytest.raises(InputError, match="at least one must be positive"):
        scene.segment([CLICKS[1]])
    with pytest.raises(InputError, match="at least one must be positive"):
        scene.segment([])
    with pytest.raises(InputError, match="click 60,3: outside the photo of 60 × 40"):
        scene.segment([Click(60, 3)])
    with pytest.raises(InputError, match="click 3,-1: outside"):
        scene.segment_each([Click(3, -1)])


def test_a_positive_click_comes_first() -> None:
    negative, one, two = CLICKS[1], CLICKS[0], CLICKS[2]
    assert positive_first([negative, one, two]) == (one, negative, two)
    assert positive_first([one, negative]) == (one, negative)


def test_nothing_selected_is_none() -> None:
    scene = InteractiveScene(IMAGE, SquareStepper())
    twice = [Click(10.5, 10.5), Click(10.5, 10.5, positive=False)]
    assert scene.segment(twice) is None


def test_threads_share_a_scene_of_a_real_network() -> None:
    image, _ = group_photo(np.random.default_rng(3), size=96)
    stepper = ZoomStepper(tiny_ritm(mask_threshold=0.3, input_size=64))
    sequences = [CLICKS[:count] for count in (1, 2, 3, 4, 3, 2)]
    alone = [InteractiveScene(image, stepper).segment(clicks) for clicks in sequences]
    scene = InteractiveScene(image, stepper)
    with ThreadPoolExecutor(6) as pool:
        shared = list(pool.map(scene.segment, sequences))
    for one, other in zip(alone, shared, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert np.array_equal(one.mask, other.mask)
