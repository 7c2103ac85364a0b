"""What iCMFormer and iCMFormer++ are both built around: tokens of photo and clicks, and one head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.systems.clicking.network import ClickNetwork
from models.systems.icmformer.backbone import TokenBackbone
from models.systems.icmformer.config import IcmformerConfig
from models.systems.icmformer.head import HierarchicalHead


class TokenNetwork(ClickNetwork):
    """A plain transformer's tokens, those of clicks and last mask, and the hierarchical head.

    Args:
        config: Widths and sizes.
        blocks: Of the backbone.
    """

    config_class: type[IcmformerConfig] = IcmformerConfig
    config: IcmformerConfig
    backbone: TokenBackbone  # type: ignore[assignment]  # one map of tokens, not the four of a Backbone

    def __init__(self, config: IcmformerConfig, blocks: int) -> None:
        super().__init__(config)
        c = config
        self.backbone = TokenBackbone(c, blocks)
        self.click_stem = self.three_channel_stem()
        self.norm = nn.LayerNorm(c.width, eps=1e-6)
        self.head = HierarchicalHead(
            c.width, c.patch, c.strides, c.level_channels, c.head_channels, c.dropout
        )

    def three_channel_stem(self) -> nn.Conv2d:
        """A new linear map of each token's pixels of both click maps and a mask."""
        return nn.Conv2d(3, self.config.width, self.config.patch, stride=self.config.patch)

    def load_backbone(self, source: str) -> None:
        """Put pretrained weights into the backbone; see :meth:`TokenBackbone.load`."""
        self.backbone.load(source)

    def grid(self, image: Tensor) -> tuple[int, int]:
        """Rows and columns of tokens of an image ``[…, H, W]``."""
        return self.grid_of(image.shape[-2], image.shape[-1])

    def grid_of(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of tokens of so many pixels."""
        return height // self.config.patch, width // self.config.patch

    def click_tokens(self, points: Tensor, previous: Tensor) -> Tensor:
        """Tokens ``[B, C, h, w]`` of points ``[B, P, 3]`` and the mask before, ``[B, 1, H, W]``."""
        maps = self.guidance(points, *previous.shape[-2:])
        return self.click_stem(torch.cat([maps, previous.to(self.dtype)], dim=1))

    def read(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Logits ``[B, 1, H, W]`` of the given size from fused tokens ``[B, N, C]``."""
        logits = self.head(self.norm(tokens).transpose(1, 2).unflatten(2, self.grid_of(*size)))
        return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
