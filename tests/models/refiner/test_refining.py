"""Refining the objects of a photo."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from models.one_click.found_object import FoundObject
from models.placed_object import PlacedObject
from models.refiner import RefinerConfig
from models.refiner.model import Refined
from models.refiner.refining import Copy, copy_for, on_cells, refine

SIZE = 64


class Scripted:
    """Answers what it is told to; remembers what it was shown."""

    def __init__(self, draw) -> None:
        self.config = RefinerConfig(crop=SIZE, context=2.0)
        self.device = torch.device("cpu")
        self.draw = draw
        self.shown: list[Tensor] = []

    def __call__(self, pixels: Tensor, prior: Tensor, clicks: Tensor) -> Refined:
        self.shown.append(pixels)
        logits = torch.stack([self.draw(crop) for crop in pixels])
        return Refined(logits, torch.full((len(pixels),), 2.0))


def block(row: int, column: int, side: int, click: tuple[float, float]) -> PlacedObject:
    """A square object of some cells of stride 4."""
    return PlacedObject(FoundObject(np.ones((side, side), np.float32), row, column, 0.7, (click,)), 1.0)


def bright(crop: Tensor) -> Tensor:
    """A mask of what is brighter than 128."""
    return torch.nn.functional.avg_pool2d(crop[:1] - 128, 2)[0]


def photo_with_square(x: int, y: int, side: int) -> Tensor:
    photo = torch.zeros(3, 200, 240, dtype=torch.uint8)
    photo[:, y : y + side, x : x + side] = 255
    return photo


@pytest.mark.parametrize(("x", "y", "side"), [(60, 80, 40), (0, 0, 30), (205, 165, 35)])
def test_a_refined_mask_lies_where_the_object_does(x: int, y: int, side: int) -> None:
    photo = photo_with_square(x, y, side)
    rough = block(y // 4 + 1, x // 4 + 1, side // 4 - 1, (x + side / 2, y + side / 2))
    [(item, quality)] = refine(Scripted(bright), [Copy(photo, 1.0)], [rough])  # type: ignore[arg-type]
    mask = item.found.mask(200, 240, item.scale)
    truth = photo[0].numpy() > 0
    assert (mask & truth).sum() / (mask | truth).sum() > 0.93  # to a pixel or so
    assert quality == pytest.approx(torch.tensor(2.0).sigmoid().item())
    assert item.found.score == 0.7
    assert item.holds(x + side / 2, y + side / 2)


def test_half_of_the_change_is_taken() -> None:
    rough = block(10, 10, 10, (50, 50))  # logits of 1 in the mask, of at least -4 beyond
    network = Scripted(lambda crop: torch.full((SIZE // 2, SIZE // 2), 3.0))
    [(item, _)] = refine(network, [Copy(torch.zeros(3, 200, 240), 1.0)], [rough])  # type: ignore[arg-type]
    assert item.found.value_at(50 * item.scale, 50 * item.scale) == pytest.approx(2.0)  # 1 and 3
    assert item.found.logits.min() == pytest.approx(-0.5)  # -4 and 3


def test_an_object_stays_where_nothing_is_left_of_it() -> None:
    rough = block(10, 10, 5, (50, 50))
    dark = torch.zeros(3, 200, 240, dtype=torch.uint8)
    assert refine(Scripted(bright), [Copy(dark, 1.0)], [rough])[0][0] is rough  # type: ignore[arg-type]


def test_an_object_keeps_its_click() -> None:
    rough = block(10, 10, 10, (42, 42))  # 40 to 80; the bright part does not hold the click
    photo = photo_with_square(60, 60, 20)
    assert refine(Scripted(bright), [Copy(photo, 1.0)], [rough])[0][0] is rough  # type: ignore[arg-type]
    beside = block(10, 10, 10, (20, 20))  # the click was outside before
    assert refine(Scripted(bright), [Copy(photo, 1.0)], [beside])[0][0] is not beside  # type: ignore[arg-type]


def test_many_objects_go_in_batches() -> None:
    items = [block(4, 4, 5, (20 + n / 10, 20)) for n in range(70)]
    network = Scripted(bright)
    answers = refine(network, [Copy(photo_with_square(10, 10, 30), 1.0)], items)  # type: ignore[arg-type]
    assert [len(pixels) for pixels in network.shown] == [32, 32, 6]
    assert [answer.found.clicks[0][0] / answer.scale for answer, _ in answers] == pytest.approx(
        [20 + n / 10 for n in range(70)]
    )


def test_nothing_to_refine() -> None:
    assert refine(Scripted(bright), [], []) == []  # type: ignore[arg-type]


def test_the_copy_that_shows_enough() -> None:
    copies = [Copy(torch.zeros(3, 1, 1), scale) for scale in (0.25, 0.5, 1.0)]
    assert [copy_for(copies, scale).scale for scale in (0.1, 0.25, 0.3, 1.0, 3.0)] == [0.25, 0.25, 0.5, 1, 1]


@given(st.floats(-100, 4000), st.floats(-100, 4000), st.floats(10, 3000))
def test_squares_move_onto_cells(left: float, top: float, side: float) -> None:
    moved = on_cells((left, top, side), SIZE)
    cell = 2 * side / SIZE
    assert moved[2] == side
    for before, after in zip((left, top), moved, strict=False):
        assert abs(after - before) <= cell / 2 + 1e-6
        # the middle of a refined value is where a found object's cell has its value: 2.5 of 4 pixels
        place = (after / cell + 0.5) % 1
        assert place == pytest.approx(2.5 / 4, abs=1e-6)
