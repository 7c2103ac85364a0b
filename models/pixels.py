"""Pixels as the networks take them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def normalised(
    pixels: Tensor, mean: Sequence[float], deviation: Sequence[float], dtype: torch.dtype
) -> Tensor:
    """Pixels of zero mean and unit variance, as far as the training photos' statistics hold.

    Args:
        pixels: ``[B, 3, H, W]`` RGB 0–255, any dtype.
        mean: Of each channel, 0–255.
        deviation: The same.
        dtype: Of the result: the network's.
    """
    middle, unit = (
        torch.tensor(values, device=pixels.device, dtype=dtype).view(1, 3, 1, 1)
        for values in (mean, deviation)
    )
    return (pixels.to(dtype) - middle) / unit
