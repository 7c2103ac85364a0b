"""From a backbone's maps to logits at stride 4."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones.compact import conv_norm


class SumDecoder(nn.Module):
    """Levels brought to one width, added from the deepest up, and read by two convolutions."""

    def __init__(self, inputs: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(conv_norm(width, channels, kernel=1) for width in inputs)
        self.smooth = nn.Sequential(conv_norm(channels, channels), nn.ReLU())
        self.final = nn.Conv2d(channels, 1, 1)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor, None]:
        """Features ``[B, C, H / 4, W / 4]``, logits ``[B, 1, H / 4, W / 4]``, and no coarse ones."""
        levels = [lateral(x) for lateral, x in zip(self.lateral, maps, strict=True)]
        merged = levels[-1]
        for level in levels[-2::-1]:
            merged = level + F.interpolate(
                torch.relu(merged), size=level.shape[-2:], mode="bilinear", align_corners=False
            )
        features = self.smooth(torch.relu(merged))
        return features, self.final(features), None


class MlpDecoder(nn.Module):
    """The all-MLP head of SegFormer: levels brought to one width, side by side at stride 4, mixed by 1×1.

    Source: Xie et al., "SegFormer" (2021), section 3.2.
    """

    def __init__(self, inputs: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in inputs)
        self.mix = nn.Sequential(conv_norm(len(inputs) * channels, channels, kernel=1), nn.ReLU())
        self.dropout = nn.Dropout2d(0.1)
        self.final = nn.Conv2d(channels, 1, 1)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor, None]:
        """Features ``[B, C, H / 4, W / 4]``, logits ``[B, 1, H / 4, W / 4]``, and no coarse ones."""
        size = maps[0].shape[-2:]
        levels = [lateral(x) for lateral, x in zip(self.lateral, maps, strict=True)]
        grown = [F.interpolate(x, size, mode="bilinear", align_corners=False) for x in levels]
        features = self.mix(torch.cat(grown[::-1], dim=1))
        return features, self.final(self.dropout(features)), None
