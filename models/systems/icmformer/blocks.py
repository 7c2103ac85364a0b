"""Transformer blocks: ViT's own, in windows where asked for, and the cross-attention between two streams."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import ViTConfig
from transformers.models.vit.modeling_vit import ViTLayer

from toolkit.errors import InputError


def vit_blocks(count: int, width: int, heads: int, mlp_ratio: int) -> nn.ModuleList:
    """ViT's self-attention blocks.

    Raises:
        InputError: The width can't be shared among the heads.
    """
    if width % heads:
        raise InputError(f"width {width}: expected a multiple of heads, which is {heads}")
    config = ViTConfig(
        hidden_size=width,
        num_attention_heads=heads,
        intermediate_size=mlp_ratio * width,
        layer_norm_eps=1e-6,  # of timm's ViT, whose weights are in use
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    config._attn_implementation = "sdpa"
    return nn.ModuleList(ViTLayer(config) for _ in range(count))


def run_blocks(blocks: Iterable[nn.Module], tokens: Tensor, grid: tuple[int, int], window: int) -> Tensor:
    """Run a group of blocks: all but the last attend within windows, the last to everything.

    Args:
        blocks: A group.
        tokens: ``[B, h · w, C]``.
        grid: h and w.
        window: Side of the windows, tokens; 0 for none. A grid that it does not divide is not cut.

    Returns:
        The same shape.

    Source: ViTDet (Li et al., 2022), section 3.2: global attention once per subset of blocks.
    """
    own = list(blocks)
    cut = window > 0 and grid[0] % window == 0 and grid[1] % window == 0 and len(own) > 1
    if cut:
        tokens = to_windows(tokens, grid, window)
    for index, block in enumerate(own):
        if cut and index == len(own) - 1:
            tokens = from_windows(tokens, grid, window)
        tokens = block(tokens)
    return tokens


def to_windows(tokens: Tensor, grid: tuple[int, int], window: int) -> Tensor:
    """``[B, h · w, C]`` to ``[B · windows, window², C]``."""
    batch, _, width = tokens.shape
    rows, columns = grid[0] // window, grid[1] // window
    cut = tokens.view(batch, rows, window, columns, window, width).transpose(2, 3)
    return cut.reshape(batch * rows * columns, window * window, width)


def from_windows(tokens: Tensor, grid: tuple[int, int], window: int) -> Tensor:
    """The inverse of :func:`to_windows`."""
    rows, columns = grid[0] // window, grid[1] // window
    width = tokens.shape[-1]
    cut = tokens.view(-1, rows, columns, window, window, width).transpose(2, 3)
    return cut.reshape(-1, grid[0] * grid[1], width)


class Attention(nn.Module):
    """Multi-head attention of one sequence to another (iCMFormer++, equation 3)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Queries from ``[B, N, C]``, keys and values from ``[B, M, C]``; returns ``[B, N, C]``."""
        query, key, value = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2)  # [B, heads, N or M, C / heads]
            for layer, x in ((self.query, asking), (self.key, asked), (self.value, asked))
        )
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).flatten(2))


class CrossModalityBlock(nn.Module):
    """Self-attention of the clicks, cross-attention of clicks and photo, a feed-forward network.

    Args:
        width: Channels.
        heads: Of both attentions.
        mlp_ratio: Hidden channels of the feed-forward network, in widths.
        queries: Which stream asks, and takes up the answer.

    Source: iCMFormer++, section 3.2, "Cross-modality attention and fusion".
    """

    def __init__(self, width: int, heads: int, mlp_ratio: int, queries: Literal["image", "clicks"]) -> None:
        super().__init__()
        self.queries = queries
        self.click_norm, self.image_norm, self.cross_norm = (nn.LayerNorm(width, eps=1e-6) for _ in range(3))
        self.self_attention, self.cross_attention = Attention(width, heads), Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width, eps=1e-6)
        self.mlp = feed_forward(width, mlp_ratio, nn.GELU())

    def forward(self, image: Tensor, clicks: Tensor) -> tuple[Tensor, Tensor]:
        """The two streams, ``[B, N, C]`` each, after the block."""
        own = self.click_norm(clicks)
        clicks = clicks + self.self_attention(own, own)
        seen, said = self.image_norm(image), self.cross_norm(clicks)
        if self.queries == "image":
            image = image + self.cross_attention(seen, said)
            return image + self.mlp(self.mlp_norm(image)), clicks
        clicks = clicks + self.cross_attention(said, seen)
        return image, clicks + self.mlp(self.mlp_norm(clicks))


def feed_forward(width: int, ratio: int, activation: nn.Module, dropout: float = 0.0) -> nn.Sequential:
    """Two linear layers with an activation between."""
    return nn.Sequential(
        nn.Linear(width, ratio * width),
        activation,
        nn.Dropout(dropout),
        nn.Linear(ratio * width, width),
        nn.Dropout(dropout),
    )
