"""What a backbone is."""

from __future__ import annotations

from torch import Tensor, nn


class Backbone(nn.Module):
    """Four feature maps at strides 4, 8, 16 and 32.

    Attributes:
        channels: Of each map.
    """

    channels: tuple[int, ...]

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Feature maps of normalised pixels ``[B, 3, H, W]``."""
        raise NotImplementedError


class EarlyFusionBackbone(Backbone):
    """A backbone that can take more than pixels: maps are added after its first convolution.

    Attributes:
        early_channels: Of that convolution's output, at stride 2.
    """

    early_channels: int

    def forward(self, pixels: Tensor, added: Tensor | None = None) -> list[Tensor]:
        """Feature maps at strides 4, 8, 16, 32.

        Args:
            pixels: Normalised, ``[B, 3, H, W]``.
            added: To the features after the first convolution, ``[B, early_channels, H / 2, W / 2]``.
        """
        raise NotImplementedError
