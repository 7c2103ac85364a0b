"""Feature pyramid P2–P5 on top of a backbone's four maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

STRIDES = (4, 8, 16, 32)


class FeaturePyramid(nn.Module):
    """Top-down pyramid with one width for all levels.

    Source: Lin et al., "Feature Pyramid Networks" (2017), section 3.
    """

    def __init__(self, inputs: Sequence[int], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in inputs)
        self.output = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in inputs)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """P2–P5, each ``[B, C, H / stride, W / stride]``, from maps of the same sizes."""
        merged = [lateral(x) for lateral, x in zip(self.lateral, maps, strict=True)]
        for level in range(len(merged) - 2, -1, -1):
            size = merged[level].shape[-2:]
            merged[level] = merged[level] + F.interpolate(merged[level + 1], size=size, mode="nearest")
        return [conv(x) for conv, x in zip(self.output, merged, strict=True)]
