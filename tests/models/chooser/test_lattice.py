"""The lattice that masks and objects are compared on."""

from __future__ import annotations

import numpy as np
import pytest

from models.chooser.lattice import CELLS, LIMIT, Lattice
from models.one_click.found_object import FoundObject
from models.placed_object import PlacedObject
from tests.models.chooser.test_features import square


def test_it_lies_around_the_box() -> None:
    lattice = Lattice.around(square(10, 5, 0.8, 1.0))  # from 20 to 60 px
    assert lattice.step * CELLS == pytest.approx(72)  # 1.8 times 40
    assert lattice.left == lattice.top == pytest.approx(4)


def test_logits_are_read_in_the_cells_middles() -> None:
    step = 1.0
    # a cell's value counts for its second pixel's left border: CELL_PLACE of four pixels
    ramp = np.tile(np.arange(16, dtype=np.float32) - 8, (16, 1)) / 2
    item = PlacedObject(FoundObject(ramp, 0, 0, 0.5, ((30.0, 30.0),)), 1.0)
    values = Lattice(8.0, 8.0, step).logits(item)
    assert values.shape == (CELLS, CELLS)
    expected = item.values(8.5, 8.5, (1.0, 1.0), (CELLS, CELLS))
    np.testing.assert_allclose(values, expected.clip(-LIMIT, LIMIT))
    assert (np.diff(values, axis=1) >= 0).all()


def test_logits_are_limited() -> None:
    values = Lattice(0.0, 0.0, 4.0).logits(square(10, 5, 0.8, 1.0))
    assert values.max() == LIMIT
    assert values.min() == -LIMIT


@pytest.mark.parametrize("step", [0.5, 1.0, 2.0, 4.0])
def test_coverage_adds_up_to_the_area(step: float) -> None:
    mask = np.zeros((120, 120), bool)
    mask[41:55, 42:50] = True
    side = step * CELLS
    coverage = Lattice(48 - side / 2, 48 - side / 2, step).coverage(mask)
    assert coverage.min() >= 0
    assert coverage.max() <= 1
    if step >= 1:  # else the object reaches beyond
        assert coverage.sum() * step**2 == pytest.approx(14 * 8, rel=0.03)


def test_coverage_of_half_cells() -> None:
    mask = np.zeros((CELLS * 8, CELLS * 8), bool)
    mask[:, : 4 * 8 + 4] = True  # four cells of eight pixels, and half of the fifth
    coverage = Lattice(0.0, 0.0, 8.0).coverage(mask)
    np.testing.assert_allclose(coverage[1, :4], 1)
    assert coverage[1, 4] == pytest.approx(0.5)
    np.testing.assert_allclose(coverage[1, 5:], 0)
