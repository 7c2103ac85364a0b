"""The separable convolution that the mask correction network is made of."""

from __future__ import annotations

from torch import Tensor, nn


class SeparableUnit(nn.Module):
    """Two depthwise 3×3 convolutions, then a pointwise one, BatchNorm and ReLU.

    The paper only says "convolutional layers"; with these its network has the parameters of its table 1
    (0.11 M for C64). From C channels to D there are 22 C + C D + 3 D.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs),
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs),
            nn.Conv2d(inputs, outputs, 1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, H, W]`` to ``[B, D, H, W]``."""
        return self.layers(x)
