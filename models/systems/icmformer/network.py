"""The iCMFormer network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.systems.clicking.network import ClickNetwork
from models.systems.icmformer.backbone import TokenBackbone
from models.systems.icmformer.blocks import CrossModalityBlock, run_blocks
from models.systems.icmformer.config import IcmformerConfig
from models.systems.icmformer.head import HierarchicalHead


class IcmformerNetwork(ClickNetwork):
    """Photo and clicks as two streams of tokens that meet in cross-modality blocks.

    Source: Li et al., "Interactive Image Segmentation with Cross-Modality Vision Transformers" (ICCV
    workshops 2023), as told again in iCMFormer++, section 3.2.
    """

    config_class = IcmformerConfig
    config: IcmformerConfig
    backbone: TokenBackbone  # type: ignore[assignment]  # one map of tokens, not the four of a Backbone

    def __init__(self, config: IcmformerConfig) -> None:
        super().__init__(config)
        c = config
        self.backbone = TokenBackbone(c, c.represent_blocks + c.fuse_blocks)
        # both click maps and the mask before; added by tokens, as the photo's are
        self.click_stem = nn.Conv2d(3, c.width, c.patch, stride=c.patch)
        self.cross = nn.ModuleList(
            CrossModalityBlock(c.width, c.heads, c.mlp_ratio, c.queries) for _ in range(c.cross_blocks)
        )
        self.norm = nn.LayerNorm(c.width, eps=1e-6)
        self.head = HierarchicalHead(
            c.width, c.patch, c.strides, c.level_channels, c.head_channels, c.dropout
        )
        self.post_init()

    def load_backbone(self, source: str) -> None:
        """Put pretrained weights into the backbone; see :meth:`TokenBackbone.load`."""
        self.backbone.load(source)

    def grid(self, image: Tensor) -> tuple[int, int]:
        """Rows and columns of tokens of an image ``[…, H, W]``."""
        return image.shape[-2] // self.config.patch, image.shape[-1] // self.config.patch

    def represent(self, image: Tensor) -> Tensor:
        """Tokens of a photo ``[B, 3, H, W]`` after S1, ``[B, N, C]``: the same for all clicks on it."""
        return self._shared(self.backbone.stem(self.normalise(image)))

    def _shared(self, tokens: Tensor) -> Tensor:
        blocks = list(self.backbone.blocks)[: self.config.represent_blocks]
        grid = (tokens.shape[-2], tokens.shape[-1])
        return run_blocks(blocks, self.backbone.located(tokens), grid, self.config.window)

    def forward(
        self, image: Tensor, points: Tensor, previous: Tensor, represented: Tensor | None = None
    ) -> Tensor:
        """See :class:`models.systems.clicking.network.ClickNetwork`.

        Args:
            image: ``[B, 3, H, W]``.
            points: ``[B, P, 3]``.
            previous: ``[B, 1, H, W]``.
            represented: What :meth:`represent` gave for the same image, ``[B, N, C]`` or ``[1, N, C]``.
        """
        height, width = image.shape[-2:]
        seen = self.represent(image) if represented is None else represented
        maps = torch.cat([self.guidance(points, height, width), previous.to(self.dtype)], dim=1)
        clicks = self._shared(self.click_stem(maps))
        seen = seen.expand(len(clicks), -1, -1)
        for block in self.cross:
            seen, clicks = block(seen, clicks)
        return self.decode(seen + clicks, (height, width))

    def decode(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Run S2 and the head on fused tokens ``[B, N, C]``; logits ``[B, 1, H, W]`` of the given size."""
        grid = (size[0] // self.config.patch, size[1] // self.config.patch)
        blocks = list(self.backbone.blocks)[self.config.represent_blocks :]
        tokens = self.norm(run_blocks(blocks, tokens, grid, self.config.window))
        logits = self.head(tokens.transpose(1, 2).unflatten(2, grid))
        return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
