"""The compact residual backbone that the bundled weights use."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.backbones.base import EarlyFusionBackbone


def conv_norm(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, then BatchNorm: local, and foldable, at inference."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut; the average pool of ResNet-D where the stride is 2.

    Source: He et al., "Bag of Tricks for Image Classification" (2019), section 4.2.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = conv_norm(inputs, outputs, stride=stride)
        self.second = conv_norm(outputs, outputs)
        shortcut: list[nn.Module] = []
        if stride != 1:
            shortcut.append(nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False))
        if inputs != outputs:
            shortcut.append(conv_norm(inputs, outputs, kernel=1))
        self.shortcut = nn.Sequential(*shortcut)
        nn.init.zeros_(self.second[1].weight)  # type: ignore[arg-type]  # a block starts as the identity

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, H, W]`` to ``[B, C', ceil(H / stride), ceil(W / stride)]``."""
        return torch.relu(self.second(torch.relu(self.first(x))) + self.shortcut(x))


class CompactBackbone(EarlyFusionBackbone):
    """A residual network whose cost sits at strides 8 and 16.

    Args:
        stem: Channels at stride 2.
        widths: Channels at strides 4, 8, 16 and 32.
        depths: Residual blocks at each of those strides.
    """

    def __init__(
        self, stem: int = 24, widths: Sequence[int] = (48, 96, 256, 320), depths: Sequence[int] = (2, 2, 4, 2)
    ):
        super().__init__()
        self.stem = nn.Sequential(
            conv_norm(3, stem, stride=2), nn.ReLU(), conv_norm(stem, widths[0], stride=2), nn.ReLU()
        )
        stages, inputs = [], widths[0]
        for index, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            blocks = []
            for block in range(depth):
                blocks.append(ResidualBlock(inputs, width, stride=2 if index > 0 and block == 0 else 1))
                inputs = width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.channels = tuple(widths)
        self.early_channels = stem

    def forward(self, pixels: Tensor, added: Tensor | None = None) -> list[Tensor]:
        """See :class:`EarlyFusionBackbone`."""
        x = self.stem[0](pixels)
        x = self.stem[1:](x if added is None else x + added)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps
