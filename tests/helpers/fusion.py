"""A tiny fusion network for tests."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from models.systems.fusion.config import FusionConfig
from models.systems.fusion.network import FusionNetwork
from tests.helpers.networks import BACKBONE, shake_norms

TINY: dict[str, Any] = {
    "backbone_settings": BACKBONE, "stream_channels": 8, "reduction": 2, "pyramid_channels": 4,
    "head_channels": 16,
}  # fmt: skip


def tiny_fusion(seed: int = 0, **changes: Any) -> FusionNetwork:
    """Some 30 k parameters, normalisations and late weights that are not the first ones, for evaluation."""
    torch.manual_seed(seed)
    network = FusionNetwork(FusionConfig(**{**TINY, **changes}))
    shake_norms(network)
    for name, weights in network.named_parameters():
        if ".joined." in name:
            nn.init.normal_(weights, std=0.3)
    return network.eval()
