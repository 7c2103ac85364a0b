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
