"""The fusion stream: from photo and click straight to the head, past the backbone.

Source: multi-stage fusion, section 3.2 and figure 3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.backbones.compact import conv_norm


class SqueezeExcitation(nn.Module):
    """Channels weighed by what their means say.

    Source: Hu et al., "Squeeze-and-Excitation Networks" (2018), section 3.

    Args:
        channels: Of the map.
        reduction: r: the layer between is so many times narrower.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Linear(channels, max(channels // reduction, 1)),
            nn.ReLU(),
            nn.Linear(max(channels // reduction, 1), channels),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, H, W]`` to the same shape."""
        return x * self.weigh(x.mean((2, 3)))[:, :, None, None]


class SqueezeExcitationBlock(nn.Module):
    """Two 3×3 convolutions, their channels weighed, and a shortcut (figure 3 b and c)."""

    def __init__(self, channels: int, reduction: int, stride: int) -> None:
        super().__init__()
        self.first = conv_norm(channels, channels, stride=stride)
        self.second = conv_norm(channels, channels)
        self.excite = SqueezeExcitation(channels, reduction)
        self.shortcut = nn.Identity() if stride == 1 else conv_norm(channels, channels, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, H, W]`` to ``[B, C, H / stride, W / stride]``."""
        return torch.relu(self.excite(self.second(torch.relu(self.first(x)))) + self.shortcut(x))


class FusionStream(nn.Module):
    """A 7×7 convolution and a pool to stride 4, then SE-residual blocks, the last one to stride 8.

    Args:
        inputs: Channels of photo and click together.
        channels: Of the stream.
        blocks: So many.
        reduction: Of squeeze and excitation.
    """

    def __init__(self, inputs: int, channels: int, blocks: int, reduction: int) -> None:
        super().__init__()
        self.initial = nn.Sequential(conv_norm(inputs, channels, 7, 2), nn.ReLU(), nn.MaxPool2d(2))
        self.blocks = nn.Sequential(
            *(
                SqueezeExcitationBlock(channels, reduction, stride=2 if index == blocks - 1 else 1)
                for index in range(blocks)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, inputs, H, W]`` to ``[B, channels, H / 8, W / 8]``."""
        return self.blocks(self.initial(x))
