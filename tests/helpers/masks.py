"""Masks for tests: a hypothesis strategy for arbitrary ones, and hand-made shapes."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st

SMALL = np.array([[1, 0, 0], [1, 0, 1]], bool)
"""Set: the left column and the pixel in the lower right corner."""


def same(result: np.ndarray, mask: np.ndarray) -> bool:
    """Whether a result is that mask; it must be boolean and lie row by row."""
    assert result.dtype == np.bool_
    assert result.flags.c_contiguous
    return np.array_equal(result, mask)


def disk(height: int, width: int, x: float, y: float, radius: float) -> np.ndarray:
    """A disk around (x, y) in pixels: bool [height, width]."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def ring(height: int, width: int, x: float, y: float, radius: float, hole: float) -> np.ndarray:
    """A disk with a round hole: bool [height, width]."""
    return disk(height, width, x, y, radius) & ~disk(height, width, x, y, hole)


def checkerboard(height: int, width: int) -> np.ndarray:
    """Pixels that touch only at corners: bool [height, width]."""
    return np.indices((height, width)).sum(axis=0) % 2 == 0


def _special(height: int, width: int, kind: str, row: int, column: int) -> np.ndarray:
    mask = np.zeros((height, width), dtype=bool)
    row, column = row % height, column % width
    if kind == "full":
        mask[:] = True
    elif kind == "pixel":
        mask[row, column] = True
    elif kind == "row":
        mask[row] = True
    elif kind == "column":
        mask[:, column] = True
    elif kind == "hole":
        mask[:] = True
        mask[row, column] = False
    elif kind == "frames":  # rings within rings
        distance = np.minimum.outer(
            np.minimum(np.arange(height), np.arange(height)[::-1]),
            np.minimum(np.arange(width), np.arange(width)[::-1]),
        )
        mask = distance % 2 == 0
    elif kind == "diagonal":
        mask[np.indices(mask.shape)[0] == np.indices(mask.shape)[1]] = True
    elif kind == "checkerboard":
        mask = checkerboard(height, width)
    return mask


KINDS = ("empty", "full", "pixel", "row", "column", "hole", "frames", "diagonal", "checkerboard")


@st.composite
def masks(draw: st.DrawFn, max_side: int = 24) -> np.ndarray:
    """Arbitrary masks: special ones, random noise, unions and differences of boxes, and soft blobs."""
    height, width = draw(st.integers(1, max_side)), draw(st.integers(1, max_side))
    family = draw(st.sampled_from(["special", "bits", "noise", "boxes", "blobs"]))
    if family == "special":
        kind = draw(st.sampled_from(KINDS))
        return _special(height, width, kind, draw(st.integers(0, max_side)), draw(st.integers(0, max_side)))
    if family == "bits":  # every bit chosen by hypothesis, so that it can shrink to the smallest failure
        side = st.integers(1, 6)
        return draw(np_st.arrays(bool, (draw(side), draw(side))))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if family == "noise":
        return rng.random((height, width)) < rng.choice([0.05, 0.3, 0.5, 0.7, 0.95])
    mask = np.zeros((height, width), dtype=bool)
    for turn in range(int(rng.integers(1, 7))):
        top, left = rng.integers(height), rng.integers(width)
        if family == "boxes":
            mask[top : top + rng.integers(1, height + 1), left : left + rng.integers(1, width + 1)] = (
                turn % 3 != 2
            )
        else:
            blob = disk(height, width, left, top, rng.uniform(0.5, max_side / 2))
            mask = mask & ~blob if turn % 3 == 2 else mask | blob
    return mask
