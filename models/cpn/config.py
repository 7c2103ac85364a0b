"""Configuration of CPN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import PretrainedConfig


class ProposalConfig(PretrainedConfig):
    """Shape of a CPN.

    Args:
        feature_channels: Channels of the frozen pyramid.
        stage_channels: Of C3 and C4, the frozen backbone's own maps, where they are read beside P3 and P4;
            none by default, as in the paper.
        channels: Channels inside.
        attention_heads: Heads of each attention.
        query_size: k: each level gives k × k query vectors (paper: 3).
        level_order: Strides whose features the decoder layers read, first to last (paper: 4, 8, 16).
        mask_queries: Whether query vectors outside the exemplar's mask are zeroed (paper: yes).
        adapter_depth: 3×3 convolutions over P2 (joined with P3 and P4) before the correlation; 0 correlates
            with P2 itself, as the paper has it. Narrow frozen features need some.
    """

    model_type = "declutter-cpn"

    def __init__(
        self,
        feature_channels: int = 64,
        channels: int = 96,
        attention_heads: int = 4,
        query_size: int = 3,
        level_order: Sequence[int] = (4, 8, 16),
        mask_queries: bool = True,
        adapter_depth: int = 2,
        stage_channels: Sequence[int] = (),
        **kwargs: Any,
    ) -> None:
        self.feature_channels = feature_channels
        self.stage_channels = list(stage_channels)
        self.channels = channels
        self.attention_heads = attention_heads
        self.query_size = query_size
        self.level_order = list(level_order)
        self.mask_queries = mask_queries
        self.adapter_depth = adapter_depth
        super().__init__(**kwargs)
