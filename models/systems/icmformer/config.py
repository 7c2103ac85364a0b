"""Configuration of iCMFormer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from models.systems.clicking.config import ClickConfig


class IcmformerConfig(ClickConfig):
    """Shape of an iCMFormer; the defaults are the compact one.

    Args:
        width: Channels of a token (ViT-B: 768).
        heads: Of every attention (ViT-B: 12).
        mlp_ratio: Hidden channels of the feed-forward networks, in widths.
        patch: Side of a token, pixels (ViT-B: 16).
        stem: ``patch``, one linear map of the pixels of each token; or ``compact``, the compact backbone,
            whose maps of strides 8, 16 and 32 are added up: it has learned to see before (a hybrid ViT).
        stem_settings: Arguments of the compact backbone.
        positions: Side of the grid of learned positions, resized to that of the input (ViT-B, 224 px: 14).
        window: Tokens along a side of the windows in which all self-attention blocks but a group's last
            attend (released code: 14, that is 224 px); 0: all attend to the whole photo.
        represent_blocks: Of group S1, which photo and clicks share (paper: 6).
        cross_blocks: Cross-modality blocks (paper: 3).
        fuse_blocks: Of group S2 (paper: 6).
        queries: Who asks in cross-attention: ``image`` (as the journal paper says) or ``clicks`` (as the
            released code does).
        strides: Of the head's levels, pixels; each a quarter to twice a patch.
        level_channels: Of these levels.
        head_channels: Of the head.
        dropout: Of the head's last layer, and of ++'s feed-forward networks.
    """

    model_type = "declutter-icmformer"

    def __init__(
        self,
        width: int = 160,
        heads: int = 5,
        mlp_ratio: int = 3,
        patch: int = 16,
        stem: Literal["patch", "compact"] = "compact",
        stem_settings: Mapping[str, Any] | None = None,
        positions: int = 16,
        window: int = 0,
        represent_blocks: int = 1,
        cross_blocks: int = 2,
        fuse_blocks: int = 2,
        queries: Literal["image", "clicks"] = "image",
        strides: Sequence[int] = (4, 8, 16),
        level_channels: Sequence[int] = (48, 64, 96),
        head_channels: int = 48,
        dropout: float = 0.1,
        input_size: int = 256,
        first_size: int = 320,
        **kwargs: Any,
    ) -> None:
        self.width = width
        self.heads = heads
        self.mlp_ratio = mlp_ratio
        self.patch = patch
        self.stem = stem
        self.stem_settings = dict(stem_settings or {})
        self.positions = positions
        self.window = window
        self.represent_blocks = represent_blocks
        self.cross_blocks = cross_blocks
        self.fuse_blocks = fuse_blocks
        self.queries = queries
        self.strides = list(strides)
        self.level_channels = list(level_channels)
        self.head_channels = head_channels
        self.dropout = dropout
        super().__init__(input_size=input_size, first_size=first_size, **kwargs)
