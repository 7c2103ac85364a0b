"""The mask refiner's network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from models.backbones import build_backbone
from models.backbones.base import EarlyFusionBackbone
from models.one_click.layers import ConvUnit
from models.pixels import normalised
from models.refiner.config import RefinerConfig
from toolkit.errors import InputError

CROP_MULTIPLE = 16
GUIDANCE = 2  # channels: the mask so far, and the click
REFINED_STRIDE = 2  # pixels of the crop per value of the refined mask
PRIOR_LIMIT = 4.0  # logits of the mask so far, beyond which it is no surer


@dataclass(frozen=True)
class Refined:
    """What the refiner makes of N crops.

    Attributes:
        logits: ``[N, S / 2, S / 2]``, the masks.
        quality: ``[N]``, logit of the mask's IoU with the object.
    """

    logits: Tensor
    quality: Tensor


class RefinerModel(PreTrainedModel):
    """Mends a mask in a crop around it, and judges what came out.

    The crop, the mask so far and the click run through the backbone and a top-down decoder to stride 2, whose
    output is added to the mask so far: an untrained decoder changes nothing.

    Source: the crop around a first mask is FocalClick's (Chen et al., 2022, section 3.2), the predicted
    quality Mask Scoring R-CNN's (Huang et al., 2019, section 3.2).
    """

    config: RefinerConfig
    config_class = RefinerConfig
    base_model_prefix = "refiner"

    def __init__(self, config: RefinerConfig) -> None:
        super().__init__(config)
        backbone = build_backbone(config.backbone, config.backbone_settings)
        if not isinstance(backbone, EarlyFusionBackbone):
            raise InputError(
                f"model.backbone: '{config.backbone}' takes no mask beside the picture; use compact"
            )
        if config.crop % CROP_MULTIPLE or config.crop <= 0:
            raise InputError(f"model.crop: expected a multiple of {CROP_MULTIPLE}, got {config.crop}")
        self.backbone = backbone
        early, width, fine = backbone.early_channels, config.channels, config.fine_channels
        self.guide = nn.Conv2d(GUIDANCE, early, 3, stride=2, padding=1)
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in backbone.channels)
        self.merge = nn.ModuleList(ConvUnit(width, width, "batch") for _ in backbone.channels[:-1])
        self.near = ConvUnit(3 + GUIDANCE, early, "batch")
        self.fine = ConvUnit(width + early, fine, "batch")
        self.change = nn.Conv2d(fine, 1, 3, padding=1)
        self.judge = nn.Sequential(
            nn.Linear(backbone.channels[-1] + width + fine, width), nn.ReLU(), nn.Linear(width, 1)
        )
        nn.init.zeros_(self.guide.weight)  # a trained backbone starts with what it knows
        nn.init.zeros_(self.change.weight)
        if self.change.bias is not None:
            nn.init.zeros_(self.change.bias)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Keep what the modules' own constructors drew."""

    def forward(self, pixels: Tensor, prior: Tensor, clicks: Tensor) -> Refined:
        """Refine N masks.

        Args:
            pixels: ``[N, 3, S, S]`` RGB 0–255, the crops.
            prior: ``[N, 1, S, S]`` logits of the masks so far.
            clicks: ``[N, 1, S, S]``, 0–1, near 1 around each click.
        """
        dtype = self.guide.weight.dtype
        image = normalised(pixels, self.config.image_mean, self.config.image_std, dtype)
        prior = prior.to(dtype).clamp(-PRIOR_LIMIT, PRIOR_LIMIT)
        guidance = torch.cat([prior / PRIOR_LIMIT, clicks.to(dtype)], 1)  # [N, 2, S, S]
        maps = self.backbone(image, self.guide(guidance))
        x = self.lateral[-1](maps[-1])
        for level in range(len(maps) - 2, -1, -1):
            lateral = self.lateral[level](maps[level])
            x = self.merge[level](lateral + F.interpolate(x, size=lateral.shape[-2:], mode="nearest"))
        seen = F.avg_pool2d(torch.cat([image, guidance], 1), REFINED_STRIDE)
        near = self.near(seen)  # [N, early, S/2, S/2]
        wide = F.interpolate(x, size=near.shape[-2:], mode="bilinear", align_corners=False)
        fine = self.fine(torch.cat([wide, near], 1))  # [N, fine, S/2, S/2]
        logits = F.avg_pool2d(prior, REFINED_STRIDE)[:, 0] + self.change(fine)[:, 0]  # [N, S/2, S/2]
        return Refined(logits, self._quality(maps[-1], x, fine, logits))

    def _quality(self, deep: Tensor, wide: Tensor, fine: Tensor, logits: Tensor) -> Tensor:
        """Logits ``[N]`` from the crop as a whole and from what the mask covers."""
        mask = logits.detach().sigmoid()[:, None]  # [N, 1, S/2, S/2]
        coarse = F.avg_pool2d(mask, 2)  # [N, 1, S/4, S/4]
        parts = [deep.mean((2, 3)), _covered(wide, coarse), _covered(fine, mask)]
        return self.judge(torch.cat(parts, 1))[:, 0]


def _covered(feature: Tensor, mask: Tensor) -> Tensor:
    """Mean of ``[N, C, h, w]`` under soft masks ``[N, 1, h, w]``, ``[N, C]``."""
    return (feature * mask).sum((2, 3)) / mask.sum((2, 3)).clamp(min=1e-3)
