"""The mask correction network: the only part that runs from the second click on.

Source: EMC-Click (Du et al., CVPR 2023), section 3.3 and figure 2, equation 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.systems.clicking.guidance import NEGATIVE, POSITIVE
from models.systems.emc_click.attention import ClickGuidedSelfAttention
from models.systems.emc_click.correlation import ClickGuidedCorrelation
from models.systems.emc_click.layers import SeparableUnit, SettledBatchNorm
from models.systems.emc_click.templates import Templates, click_cells, clicked_templates, select_templates

STRIDE = 4  # "the resolution of the features is just 1/4 of the image"
INPUTS = 3 + 2 + 1  # the image, the maps of positive and negative clicks, the previous mask


@dataclass(frozen=True)
class CorrectionSwitches:
    """Parts of the network, for the ablations of tables 4 and 5.

    Attributes:
        self_attention: Click-guided self-attention (*Self-Att*).
        correlation: Click-guided correlation (*Corr*).
        template_selection: Templates beside the clicked cells (*TS*).
        negative_templates: Whether both modules see negative templates (table 5).
    """

    self_attention: bool = True
    correlation: bool = True
    template_selection: bool = True
    negative_templates: bool = True


class MaskCorrectionNetwork(nn.Module):
    """Φ_R of equation 2.

    Args:
        feature_channels: Of the base network's features F_t.
        channels: C of the network, and K_p and K_n (section 4.1: 64 or 96).
        heads: Of the self-attention.
        switches: Which parts there are.
    """

    def __init__(
        self,
        feature_channels: int,
        channels: int,
        heads: int,
        switches: CorrectionSwitches = CorrectionSwitches(),
    ) -> None:
        super().__init__()
        self.channels, self.switches = channels, switches
        self.adaption = nn.Sequential(
            nn.Conv2d(feature_channels, channels, 1), SettledBatchNorm(channels), nn.ReLU()
        )
        self.low_level = nn.Sequential(
            nn.PixelUnshuffle(STRIDE),
            SeparableUnit(INPUTS * STRIDE**2, channels),
            SeparableUnit(channels, channels),
        )
        self.fusion = nn.Sequential(SeparableUnit(2 * channels, channels), SeparableUnit(channels, channels))
        parts = 1
        if switches.self_attention:
            self.attention = ClickGuidedSelfAttention(channels, heads)
        if switches.correlation:
            self.correlation = ClickGuidedCorrelation(channels, channels, switches.negative_templates)
            parts = 2
        self.head = nn.Sequential(  # "four convolutional layers"
            SeparableUnit(parts * channels, channels),
            SeparableUnit(channels, channels),
            SeparableUnit(channels, channels),
            nn.Conv2d(channels, 1, 3, padding=1),
        )

    def adapt(self, features: Tensor) -> Tensor:
        """F_t ``[B, F, H / 4, W / 4]`` with C channels; the same for all clicks, so it is kept."""
        return self.adaption(features)

    def forward(
        self, image: Tensor, click_maps: Tensor, previous: Tensor, features: Tensor, points: Tensor
    ) -> Tensor:
        """Logits ``[B, 1, H / 4, W / 4]`` of the corrected mask.

        Args:
            image: Normalised, ``[B, 3, H, W]``; sides divisible by 4.
            click_maps: ``[B, 2, H, W]``, of all clicks.
            previous: ``[B, 1, H, W]``, the previous mask's probabilities.
            features: What :meth:`adapt` gave, ``[B, C, H / 4, W / 4]``.
            points: All clicks, ``[B, N, 3]``; see :func:`models.systems.clicking.guidance.guidance_maps`.
        """
        low_level = self.low_level(torch.cat([image, click_maps, previous], dim=1))  # F_l
        fused = self.fusion(torch.cat([low_level, features], dim=1))  # F_u [B, C, h, w]
        height, width = fused.shape[2:]
        chosen = self._templates(fused, points)
        tokens = fused.flatten(2).transpose(1, 2)  # [B, hw, C]
        augmented = [fused]
        if self.switches.self_attention:
            templates = torch.cat([t.of(tokens) for t in chosen], dim=1)  # F_pnt
            valid = torch.cat([t.valid for t in chosen], dim=1)
            attended = self.attention(tokens, templates, valid)  # F_s
            augmented = [attended.transpose(1, 2).unflatten(2, (height, width))]
        if self.switches.correlation:
            augmented.append(self.correlation(fused, tokens, chosen))  # F_c
        return self.head(torch.cat(augmented, dim=1))

    def _templates(self, fused: Tensor, points: Tensor) -> list[Templates]:
        cells = click_cells(points, fused.shape[2], fused.shape[3], STRIDE)
        positive, negative = points[..., 2] == POSITIVE, points[..., 2] == NEGATIVE
        if self.switches.template_selection:
            chosen = select_templates(fused, cells, positive, negative, self.channels)
        else:
            chosen = clicked_templates(cells, positive, negative, self.channels)
        return list(chosen if self.switches.negative_templates else chosen[:1])
