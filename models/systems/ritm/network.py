"""The RITM network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones import EarlyFusionBackbone, build_backbone
from models.systems.clicking.decoding import SumDecoder
from models.systems.clicking.network import ClickNetwork, ClickOutput
from models.systems.ritm.config import RitmConfig
from models.systems.ritm.ocr import OcrHead
from toolkit.errors import InputError


class ClickStem(nn.Module):
    """Brings click maps and the last mask to the features after the backbone's first convolution (Conv1S).

    Source: RITM (Sofiiuk et al., 2022), section 3.1 and figure 3: two convolutions, added elementwise.
    """

    def __init__(self, hidden: int, outputs: int, scale: float) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, hidden, 1)
        self.reduce = nn.Conv2d(hidden, outputs, 3, stride=2, padding=1)
        self.scale = nn.Parameter(torch.full((1,), scale))

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``[B, 3, H, W]`` to ``[B, C, H / 2, W / 2]``."""
        return self.scale * self.reduce(F.leaky_relu(self.mix(maps), 0.2))


class RitmNetwork(ClickNetwork):
    """A backbone that sees clicks and the last mask from its first convolution on."""

    config_class = RitmConfig
    config: RitmConfig

    def __init__(self, config: RitmConfig) -> None:
        super().__init__(config)
        backbone = build_backbone(config.backbone, config.backbone_settings)
        if not isinstance(backbone, EarlyFusionBackbone):
            raise InputError(f"backbone '{config.backbone}': takes no clicks; expected compact or an HRNet")
        self.backbone = backbone
        self.clicks = ClickStem(config.click_channels, backbone.early_channels, config.click_scale)
        self.head: nn.Module
        if config.backbone.startswith("hrnet"):
            self.head = OcrHead(backbone.channels, config.head_channels)
        else:
            self.head = SumDecoder(backbone.channels, config.head_channels)
        self.post_init()

    def forward(self, image: Tensor, points: Tensor, previous: Tensor) -> ClickOutput:
        """See :class:`models.systems.clicking.network.ClickNetwork`."""
        size = image.shape[-2:]
        maps = torch.cat([self.guidance(points, *size), previous.to(self.dtype)], dim=1)  # [B, 3, H, W]
        levels = self.backbone(self.normalise(image), self.clicks(maps))
        _, logits, coarse = self.head(levels)
        grown = F.interpolate(logits, size, mode="bilinear", align_corners=False)
        if coarse is None:
            return ClickOutput(grown)
        return ClickOutput(grown, F.interpolate(coarse, size, mode="bilinear", align_corners=False))
