"""Click-guided self-attention.

Source: EMC-Click (Du et al., CVPR 2023), section 3.3, equations 5 and 6.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class ClickGuidedSelfAttention(nn.Module):
    """Every cell attends to the templates: F_s = F_u + Attention(φ_Q(F_u), φ_K(F_pnt), φ_V(F_pnt)).

    The multi-head attention of Vaswani et al. (2017), so with an output projection after the heads.

    Args:
        channels: C.
        heads: Of the attention; they divide C.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.output = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor, templates: Tensor, valid: Tensor) -> Tensor:
        """F_s of all cells.

        Args:
            tokens: F_u, ``[B, HW, C]``.
            templates: F_pnt, ``[B, K, C]``.
            valid: bool ``[B, K]``; an image with no valid template keeps its features.

        Returns:
            ``[B, HW, C]``.
        """
        some = valid.any(1)[:, None, None]  # [B, 1, 1]
        seen = (valid[:, None, :] | ~some)[:, None]  # [B, 1, 1, K]; softmax over nothing would be NaN
        attended = F.scaled_dot_product_attention(
            self._split(self.query(tokens)),
            self._split(self.key(templates)),
            self._split(self.value(templates)),
            attn_mask=seen,
        )  # [B, heads, HW, C / heads]
        return tokens + self.output(attended.transpose(1, 2).flatten(2)) * some

    def _split(self, x: Tensor) -> Tensor:
        """``[B, N, C]`` to ``[B, heads, N, C / heads]``."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)
