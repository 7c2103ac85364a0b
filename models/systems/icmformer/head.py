"""The hierarchical segmentation head on a plain transformer's single map.

Source: iCMFormer++, section 3.2, "Segmentation head", after ViTDet (Li et al., 2022), section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones.compact import conv_norm
from toolkit.errors import InputError


def level(width: int, channels: int, patch: int, stride: int) -> nn.Sequential:
    """Bring a map of stride ``patch`` to another stride and width.

    Raises:
        InputError: The stride is none of patch / 4, patch / 2, patch and 2 · patch.
    """
    layers: list[nn.Module] = []
    if stride == 2 * patch:
        layers += [nn.Conv2d(width, 2 * width, 2, stride=2), nn.GroupNorm(1, 2 * width)]
        width = 2 * width
    elif stride != patch:
        if stride * 2 != patch and stride * 4 != patch:
            allowed = f"{patch // 4}, {patch // 2}, {patch} or {2 * patch}"
            raise InputError(f"strides: expected {allowed} with patches of {patch} px, not {stride}")
        steps = 1 if stride * 2 == patch else 2
        for step in range(steps):
            layers += [nn.ConvTranspose2d(width, width // 2, 2, stride=2), nn.GroupNorm(1, width // 2)]
            if step + 1 < steps:
                layers.append(nn.GELU())
            width //= 2
    return nn.Sequential(*layers, nn.Conv2d(width, channels, 1), nn.GroupNorm(1, channels), nn.GELU())


class HierarchicalHead(nn.Module):
    """Levels of several strides from one map, brought together by 1×1 convolutions.

    Args:
        width: Channels of the map.
        patch: Its stride, pixels.
        strides: Of the levels; the first is the finest.
        level_channels: Of each level.
        channels: Of the head.
        dropout: Before its last layer.

    Raises:
        InputError: Strides and channels differ in number, or a stride is out of reach.
    """

    def __init__(
        self,
        width: int,
        patch: int,
        strides: Sequence[int],
        level_channels: Sequence[int],
        channels: int,
        dropout: float,
    ) -> None:
        super().__init__()
        if len(strides) != len(level_channels):
            raise InputError(f"level_channels: expected one for each of the {len(strides)} strides")
        self.levels = nn.ModuleList(
            level(width, inner, patch, stride) for inner, stride in zip(level_channels, strides, strict=True)
        )
        self.lateral = nn.ModuleList(conv_norm(inner, channels, kernel=1) for inner in level_channels)
        self.fuse = conv_norm(len(strides) * channels, channels, kernel=1)
        self.dropout = nn.Dropout2d(dropout)
        self.predict = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, h, w]`` to logits ``[B, 1, h', w']`` at the stride of the first level."""
        maps = [torch.relu(lateral(own(x))) for own, lateral in zip(self.levels, self.lateral, strict=True)]
        size = maps[0].shape[-2:]
        grown = [F.interpolate(m, size=size, mode="bilinear", align_corners=False) for m in maps[1:]]
        fused = torch.relu(self.fuse(torch.cat([maps[0], *grown], 1)))
        return self.predict(self.dropout(fused))
