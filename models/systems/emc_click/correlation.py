"""Click-guided correlation.

Source: EMC-Click (Du et al., CVPR 2023), section 3.3, equations 7 to 9.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.systems.emc_click.layers import SeparableUnit
from models.systems.emc_click.templates import Templates


def correlation_maps(templates: Tensor, features: Tensor) -> Tensor:
    """Pixel-wise correlation S of equations 7 and 8: one map per template.

    Args:
        templates: φ_q(F_t), ``[B, K, C]``.
        features: φ_k(F_u), ``[B, C, H, W]``.

    Returns:
        ``[B, K, H, W]``: the dot product of template j and each cell.
    """
    return (templates @ features.flatten(2)).unflatten(2, features.shape[2:])


class ClickGuidedCorrelation(nn.Module):
    """F_c = φ_f(Concat(φ_s(S_p), φ_s(S_n))).

    Args:
        channels: C.
        templates: K_p and K_n.
        negative_templates: Whether S_n joins (table 5).
    """

    def __init__(self, channels: int, templates: int, negative_templates: bool = True) -> None:
        super().__init__()
        self.query = nn.Linear(channels, channels)  # φ_q
        self.key = nn.Conv2d(channels, channels, 1)  # φ_k
        self.shared = SeparableUnit(templates, templates)  # φ_s
        self.fusion = SeparableUnit(templates * (2 if negative_templates else 1), channels)  # φ_f

    def forward(self, features: Tensor, tokens: Tensor, chosen: list[Templates]) -> Tensor:
        """F_c, ``[B, C, H, W]``.

        Args:
            features: F_u, ``[B, C, H, W]``.
            tokens: The same, ``[B, HW, C]``.
            chosen: The positive templates, and the negative ones if they join.
        """
        keys, queries = self.key(features), [t.of(tokens) for t in chosen]
        maps = []
        for template, query in zip(chosen, queries, strict=True):
            query = self.query(query) * template.valid.unsqueeze(2)  # an absent template's map is 0
            maps.append(self.shared(correlation_maps(query, keys)))  # [B, K, H, W]
        return self.fusion(torch.cat(maps, dim=1))
