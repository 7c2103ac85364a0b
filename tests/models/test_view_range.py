"""Which views show a clicked object too large."""

from __future__ import annotations

import numpy as np
import pytest

from models.agreement import PlacedObject
from models.one_click.finder import FoundObject
from models.view_range import shows_too_large


def square(cells: int, score: float) -> PlacedObject:
    """Cells of 4 pixels of a copy half as large as the photo."""
    found = FoundObject(np.full((cells, cells), 30.0, np.float32), 0, 0, score, ((4.0, 4.0), (5.0, 5.0)))
    return PlacedObject(found, 0.5)


@pytest.mark.parametrize(
    ("cells", "scale", "too_large"),
    # 25 cells are 200 pixels of the photo, 400 of a copy twice as large
    [(25, 2.0, False), (25, 2.1, True), (26, 2.0, True), (50, 1.0, False), (51, 1.0, True)],
)
def test_what_is_larger_than_400_pixels(cells: int, scale: float, too_large: bool) -> None:
    assert shows_too_large([square(cells, 0.5)], scale) is too_large


def test_the_surest_proposal_counts() -> None:
    large, small = square(50, 0.6), square(10, 0.5)
    assert shows_too_large([small, large], 2.0)
    assert not shows_too_large([small, square(50, 0.4)], 2.0)
    assert not shows_too_large([], 2.0)
