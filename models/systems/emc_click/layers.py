"""The separable convolution that the mask correction network is made of, and its normalisation."""

from __future__ import annotations

from torch import Tensor, nn


class SettledBatchNorm(nn.BatchNorm2d):
    """BatchNorm whose running statistics are those of the batches seen, from the first one on.

    torch starts them at a variance of 1 and forgets that by a tenth a step. A channel that shows clicks is
    nearly all zero: its own variance is some 1e-4, so a hundred steps long the network would hardly see the
    clicks in use, though it does in training.
    """

    USUAL_MOMENTUM = 0.1

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Normalise ``[B, C, H, W]``; the first ten batches count alike, then each a tenth."""
        if self.training and self.num_batches_tracked is not None:
            self.momentum = max(self.USUAL_MOMENTUM, 1 / (1 + int(self.num_batches_tracked)))
        return super().forward(input)


class SeparableUnit(nn.Module):
    """Two depthwise 3×3 convolutions, then a pointwise one, BatchNorm and ReLU.

    The paper only says "convolutional layers"; with these its network has the parameters of its table 1
    (0.11 M for C64). From C channels to D there are 22 C + C D + 3 D.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs),
            SettledBatchNorm(inputs),
            nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs),
            nn.Conv2d(inputs, outputs, 1),
            SettledBatchNorm(outputs),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, H, W]`` to ``[B, D, H, W]``."""
        return self.layers(x)
