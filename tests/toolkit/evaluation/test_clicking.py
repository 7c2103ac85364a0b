from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.helpers.systems import box_mask
from toolkit.clicks import center_click
from toolkit.evaluation.clicking import object_click, random_of


def test_no_jitter_is_the_centre() -> None:
    mask = box_mask(10, 20, 31, 11)
    assert object_click(mask, 0.0, random_of(0)) == center_click(mask)


@given(arrays(bool, (9, 11)).filter(np.any), st.floats(0.01, 20), st.integers(0, 2**40))
def test_a_click_stays_on_the_object(mask: np.ndarray, jitter: float, seed: int) -> None:
    click = object_click(mask, jitter, random_of(seed, 3, -1))
    assert mask[click.row, click.column]


def test_the_spread_is_a_share_of_the_radius() -> None:
    mask = box_mask(50, 50, 101, 101)  # radius of a disc of that area: 57
    clicks = [object_click(mask, 0.1, random_of(seed)) for seed in range(400)]
    spread = np.std([(click.x, click.y) for click in clicks])
    assert spread == pytest.approx(0.1 * 101 / np.sqrt(np.pi), rel=0.1)
