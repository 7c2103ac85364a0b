"""The network of multi-stage fusion."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.backbones.widening import widen_input
from models.systems.clicking.network import ClickNetwork
from models.systems.fusion.backbone import build_at_stride_8
from models.systems.fusion.config import FusionConfig
from models.systems.fusion.pyramid import PyramidHead
from models.systems.fusion.stream import FusionStream
from toolkit.errors import InputError

FUSIONS = ("baseline", "early", "multi")


class FusionNetwork(ClickNetwork):
    """A DeepLab-v2-style network with a pyramid head; the click is a fourth channel, and fused again late.

    Only positive clicks are seen, and no mask of the click before: the paper knows one click (section 3.3).
    """

    config_class = FusionConfig
    config: FusionConfig

    def __init__(self, config: FusionConfig) -> None:
        super().__init__(config)
        if config.fusion not in FUSIONS:
            raise InputError(f"model.fusion '{config.fusion}': expected one of {', '.join(FUSIONS)}")
        self.backbone = build_at_stride_8(config.backbone, config.backbone_settings)
        if config.fusion != "baseline":
            widen_input(self.backbone, 1)
        self.stream: FusionStream | None = None
        if config.fusion == "multi":
            self.stream = FusionStream(4, config.stream_channels, config.stream_blocks, config.reduction)
        self.head = PyramidHead(
            self.backbone.channels[-1],
            config.stream_channels if self.stream is not None else 0,
            config.pyramid_bins,
            config.pyramid_channels,
            config.head_channels,
        )
        self.post_init()

    def forward(self, image: Tensor, points: Tensor, previous: Tensor) -> Tensor:
        """Logits ``[B, 1, H, W]``; see :class:`models.systems.clicking.network.ClickNetwork`."""
        height, width = image.shape[-2:]
        seen = self.normalise(image)  # [B, 3, H, W]
        if self.config.fusion != "baseline":
            click = self.config.click_scale * self.guidance(points, height, width)[:, :1]
            seen = torch.cat([seen, click], dim=1)  # [B, 4, H, W]
        features = self.backbone(seen)[-1]  # [B, C, H / 8, W / 8]
        joined = None if self.stream is None else self.stream(seen)  # [B, C', H / 8, W / 8]
        logits = self.head(features, joined)
        return F.interpolate(logits, size=(height, width), mode="bilinear", align_corners=False)
