"""The EMC-Click network: a base network for the first click, a light one that corrects the mask after each.

Source: EMC-Click (Du et al., CVPR 2023), sections 3.2 and 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.backbones import build_backbone
from models.backbones.widening import widen_input
from models.systems.clicking.guidance import ABSENT, POSITIVE
from models.systems.clicking.network import ClickNetwork
from models.systems.emc_click.base_heads import build_base_head
from models.systems.emc_click.config import EmcClickConfig
from models.systems.emc_click.correction import CorrectionSwitches, MaskCorrectionNetwork


@dataclass(frozen=True)
class EmcClickOutput:
    """What a pass of both networks gives.

    Attributes:
        logits: Of the corrected mask M^t, ``[B, 1, H, W]``.
        coarse: Of the base network's mask M_c, ``[B, 1, H, W]``.
        auxiliary: Of the base network's intermediate output, ``[B, 1, H, W]``; None without one.
    """

    logits: Tensor
    coarse: Tensor
    auxiliary: Tensor | None = None


class EmcClickNetwork(ClickNetwork):
    """Φ_S (``backbone`` and ``head``) and Φ_R (``correction``) of equations 1 and 2."""

    config_class = EmcClickConfig
    config: EmcClickConfig

    def __init__(self, config: EmcClickConfig) -> None:
        super().__init__(config)
        self.backbone = build_backbone(config.backbone, config.backbone_settings)
        widen_input(self.backbone, 1 if config.first_click else 0)
        self.head = build_base_head(
            config.backbone, self.backbone.channels, config.decoder_channels, config.decoder_dropout
        )
        switches = CorrectionSwitches(
            config.self_attention, config.correlation, config.template_selection, config.negative_templates
        )
        self.correction = MaskCorrectionNetwork(
            config.decoder_channels, config.correction_channels, config.attention_heads, switches
        )
        self.post_init()

    def start(self, image: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Equation 1: the base network, on the first click.

        Args:
            image: ``[B, 3, H, W]`` RGB 0–255; H and W divisible by 32.
            points: ``[B, P, 3]``; the first positive one of each image counts.

        Returns:
            Features for :meth:`correct`, ``[B, C, H / 4, W / 4]``, and the logits of M_c, ``[B, 1, H, W]``.
        """
        features, coarse, _ = self._base(image, points)
        return features, coarse

    def _base(self, image: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """What :meth:`start` gives, and the logits of the auxiliary output."""
        seen = self.normalise(image)
        if self.config.first_click:
            click_map = self.guidance(first_points(points), *image.shape[2:])[:, :1]
            seen = torch.cat([seen, click_map], dim=1)
        features, coarse, auxiliary = self.head(self.backbone(seen))
        auxiliary = None if auxiliary is None else grown(auxiliary, image)
        return self.correction.adapt(features), grown(coarse, image), auxiliary

    def correct(self, image: Tensor, points: Tensor, previous: Tensor, features: Tensor) -> Tensor:
        """Equation 2: the logits of the corrected mask M^t, ``[B, 1, H, W]``.

        Args:
            image: ``[B, 3, H, W]`` RGB 0–255.
            points: All clicks, ``[B, P, 3]``.
            previous: Probabilities of M^{t-1}, ``[B, 1, H, W]``; for the first click those of M_c.
            features: Of :meth:`start`.
        """
        maps = self.guidance(points, *image.shape[2:])
        logits = self.correction(self.normalise(image), maps, previous.to(self.dtype), features, points)
        return grown(logits, image)

    def forward(self, image: Tensor, points: Tensor, previous: Tensor) -> EmcClickOutput:
        """Both networks; see :class:`models.systems.clicking.network.ClickNetwork`.

        Where ``previous`` is all zero there is none yet, and M_c stands for it.
        """
        features, coarse, auxiliary = self._base(image, points)
        given = previous.flatten(1).any(1).view(-1, 1, 1, 1)
        before = torch.where(given, previous, coarse.detach().float().sigmoid())
        return EmcClickOutput(self.correct(image, points, before, features), coarse, auxiliary)


def first_points(points: Tensor) -> Tensor:
    """The first positive point of each image, ``[B, 1, 3]``; an absent one where there is none.

    Args:
        points: ``[B, P, 3]``; see :func:`models.systems.clicking.guidance.guidance_maps`.
    """
    positive = points[..., 2] == POSITIVE  # [B, P]
    index = positive.int().argmax(dim=1)  # the first of equals
    first = points[torch.arange(len(points), device=points.device), index].clone()
    first[~positive.any(1), 2] = ABSENT
    return first[:, None]


def grown(logits: Tensor, image: Tensor) -> Tensor:
    """Logits ``[B, 1, h, w]`` at the image's size ``[B, 1, H, W]``."""
    return F.interpolate(logits, size=image.shape[2:], mode="bilinear", align_corners=False)
