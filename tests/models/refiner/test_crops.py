"""What the refiner sees of an object."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.one_click.found_object import FoundObject
from models.placed_object import OUTSIDE, PlacedObject
from models.refiner.crops import click_map, cut_crops, square_around


def placed(
    logits: np.ndarray, top: int = 0, left: int = 0, scale: float = 1.0, click: tuple[float, float] = (8, 8)
) -> PlacedObject:
    return PlacedObject(FoundObject(logits.astype(np.float32), top, left, 0.5, (click,)), scale)


def test_the_square_around_a_mask() -> None:
    logits = np.full((4, 6), -1.0)
    logits[1:3, 1:5] = 1  # 8 × 16 pixels of a copy twice as large, from row 4 + 4 and column 8 + 4
    item = placed(logits, top=1, left=2, scale=2.0)
    assert item.box == (6, 4, 14, 8)
    assert square_around(item, 2.0) == (2, -2, 16)  # around (10, 6)


def test_the_smallest_square() -> None:
    assert square_around(placed(np.ones((1, 1))), 1.5) == (-4, -4, 12)  # 8 pixels for a mask of 4


@given(st.floats(-20, 40), st.floats(-20, 40), st.floats(12, 60), st.sampled_from([0.5, 1.0, 2.0]))
def test_pixels_lie_where_the_square_says(left: float, top: float, side: float, scale: float) -> None:
    # a ramp, linear in the photo's x and y; beyond the photo its border
    height, width = round(40 * scale), round(32 * scale)
    x = (torch.arange(width) + 0.5) / scale
    y = (torch.arange(height) + 0.5) / scale
    image = torch.stack(
        [x.expand(height, width), y[:, None].expand(height, width), torch.zeros(height, width)]
    )
    crops = cut_crops(image, scale, [placed(np.ones((4, 4)))], [(left, top, side)], 16)
    steps = (torch.arange(16) + 0.5) / 16 * side
    inside = 1.5 * side / 16 + 1  # a pixel that mixes with the border is no point of the ramp
    for channel, start, length in ((0, left, 32.0), (1, top, 40.0)):
        wanted = start + steps
        found = crops.pixels[0, channel].mean(channel)
        sure = (wanted > inside + 1 / scale) & (wanted < length - inside - 1 / scale)
        torch.testing.assert_close(found[sure], wanted[sure], atol=1e-3, rtol=1e-4)
        before = wanted < -inside
        assert torch.allclose(found[before], torch.tensor(0.5 / scale), atol=1e-4)


def test_the_mask_so_far_lies_with_the_pixels() -> None:
    logits = np.tile(np.arange(8, dtype=np.float32), (8, 1))  # at 2.5, 6.5, … pixels of the network's input
    crops = cut_crops(torch.zeros(3, 64, 64), 1.0, [placed(logits, left=2)], [(0.0, 0.0, 64.0)], 64)
    prior = crops.prior[0, 0]
    columns = (torch.arange(64) + 0.5 - 2.5) / 4 - 2  # the logit at each column's middle
    for column in (8, 12, 20, 35):
        assert prior[10, column].item() == pytest.approx(min(max(columns[column].item(), 0), 7), abs=0.02)
    assert (prior[:, 45:] == OUTSIDE).all()
    assert (prior[40:] == OUTSIDE).all()


def test_clicks_are_spots() -> None:
    item = placed(np.ones((4, 4)), scale=2.0, click=(8, 20))  # (4, 10) in the photo
    spots = click_map(item, (0.0, 0.0, 16.0), 32)
    row, column = divmod(int(spots.argmax()), 32)
    assert (row, column) in {(19, 7), (19, 8), (20, 7), (20, 8)}  # between four pixels, at (20, 8)
    assert spots.max().item() == pytest.approx(np.exp(-0.5 * 2 * (0.5 / 3) ** 2), rel=1e-4)
    assert spots[20, 14].item() == pytest.approx(np.exp(-0.5 * (6.5**2 + 0.5**2) / 9), rel=1e-3)


def test_a_click_elsewhere_leaves_no_spot() -> None:
    assert click_map(placed(np.ones((4, 4)), click=(400, 400)), (0.0, 0.0, 16.0), 32).max() < 1e-6
