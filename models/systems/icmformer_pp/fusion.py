"""How the exemplar branch and the recall branch come together."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.systems.icmformer.blocks import Attention, feed_forward


class RecallBlock(nn.Module):
    """Recall tokens ask exemplar tokens; then a feed-forward network with ReLU and dropout.

    Source: iCMFormer++, equation 3 and the paragraph below it; the guided queries: section 3.3.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: int, dropout: float) -> None:
        super().__init__()
        self.recall_norm, self.exemplar_norm = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width, eps=1e-6)
        self.mlp = feed_forward(width, mlp_ratio, nn.ReLU(), dropout)

    def forward(self, recall: Tensor, exemplar: Tensor, guide: Tensor | None = None) -> Tensor:
        """Recall tokens ``[B, N, C]`` after the block.

        Args:
            recall: ``[B, N, C]``, whose queries are made of them.
            exemplar: ``[B, M, C]``, keys and values.
            guide: ``[B, N, C]``, merged into the queries; None without the exemplar-informed module.
        """
        asking = recall if guide is None else recall + guide
        recall = recall + self.attention(self.recall_norm(asking), self.exemplar_norm(exemplar))
        return recall + self.mlp(self.mlp_norm(recall))


class ChannelFusion(nn.Module):
    """Both branches' channels mixed by 1×1 convolutions around a depth-wise one, with a skip connection.

    With 768 channels this has the 2.96 M parameters of the paper.

    Source: iCMFormer++, section 3.4 and figure 4.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.combine = nn.Conv2d(2 * width, width, 1)
        self.surround = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.mix = nn.Conv2d(width, width, 1)
        self.skip = nn.Conv2d(2 * width, width, 1)

    def forward(self, exemplar: Tensor, recall: Tensor, grid: tuple[int, int]) -> Tensor:
        """Fuse ``[B, h · w, C]`` and ``[B, h · w, C]`` into ``[B, h · w, C]``."""
        both = torch.cat([exemplar, recall], dim=2).transpose(1, 2).unflatten(2, grid)  # [B, 2C, h, w]
        mixed = self.mix(torch.relu(self.surround(torch.relu(self.combine(both)))))
        return (mixed + self.skip(both)).flatten(2).transpose(1, 2)
