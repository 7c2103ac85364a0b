"""The RITM network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones import EarlyFusionBackbone, build_backbone
from models.backbones.compact import conv_norm
from models.systems.clicking.network import ClickNetwork, ClickOutput
from models.systems.ritm.config import RitmConfig
from toolkit.errors import InputError


class ClickStem(nn.Module):
    """Brings click maps and the last mask to the features after the backbone's first convolution (Conv1S).

    Source: RITM (Sofiiuk et al., 2022), section 3.1 and figure 3: two convolutions, added elementwise.
    """

    def __init__(self, hidden: int, outputs: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, hidden, 1)
        self.reduce = nn.Conv2d(hidden, outputs, 3, stride=2, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``[B, 3, H, W]`` to ``[B, C, H / 2, W / 2]``."""
        return self.reduce(F.leaky_relu(self.mix(maps), 0.2))


class SumHead(nn.Module):
    """Levels brought to one width and to stride 4, added, and read by two convolutions."""

    def __init__(self, inputs: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(conv_norm(width, channels, kernel=1) for width in inputs)
        self.read = nn.Sequential(conv_norm(channels, channels), nn.ReLU(), nn.Conv2d(channels, 1, 1))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Logits ``[B, 1, H / 4, W / 4]`` of maps at strides 4–32."""
        merged = self.lateral[-1](maps[-1])
        for lateral, x in zip(self.lateral[-2::-1], maps[-2::-1], strict=True):
            grown = F.interpolate(merged, size=x.shape[-2:], mode="bilinear", align_corners=False)
            merged = lateral(x) + torch.relu(grown)
        return self.read(torch.relu(merged))


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
        self.clicks = ClickStem(config.click_channels, backbone.early_channels)
        self.head = SumHead(self.backbone.channels, config.head_channels)
        self.post_init()

    def forward(self, image: Tensor, points: Tensor, previous: Tensor) -> ClickOutput:
        """See :class:`models.systems.clicking.network.ClickNetwork`."""
        height, width = image.shape[-2:]
        maps = torch.cat([self.guidance(points, height, width), previous.to(self.dtype)], dim=1)
        levels = self.backbone(self.normalise(image), self.clicks(maps))
        logits = self.head(levels)
        return ClickOutput(F.interpolate(logits, size=(height, width), mode="bilinear", align_corners=False))
