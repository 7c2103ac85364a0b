"""Pixels as the networks take them."""

from __future__ import annotations

import torch

from models.pixels import normalised


def test_pixels_computed_by_hand() -> None:
    pixels = torch.tensor([10, 20, 30, 40, 50, 60], dtype=torch.uint8).view(1, 3, 1, 2)
    result = normalised(pixels, (10, 20, 30), (5, 10, 20), torch.float64)
    assert result.dtype == torch.float64
    assert result.flatten().tolist() == [0, 2, 1, 2, 1, 1.5]
