"""Tiny click-by-click networks and recipes for tests that need no trained ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from models.recipes.schema import InteractiveRecipe
from models.systems.ritm import RitmConfig, RitmNetwork
from tests.helpers.networks import BACKBONE, shake_norms


def tiny_ritm(seed: int = 0, **changes: Any) -> RitmNetwork:
    """Some 20 k parameters, normalisations that are not the identity's, in evaluation mode."""
    torch.manual_seed(seed)
    settings = {"backbone_settings": BACKBONE, "click_channels": 8, "head_channels": 16}
    network = RitmNetwork(RitmConfig(**{**settings, **changes}))
    shake_norms(network)
    return network.eval()


def tiny_recipe(photos: Path, system: str = "ritm", **changes: Any) -> InteractiveRecipe:
    """Crops of 96 px that show whole photos, unchanged."""
    composer = {
        "smallest": 18, "largest": 18, "scale_limits": (1, 1), "smallest_cover": 1.0,
        "paste_probability": 0, "colour_strength": 0, "flip_vertical": 0,
    }  # fmt: skip
    settings: dict[str, Any] = {
        "task": "interactive",
        "system": system,
        "model": {"backbone_settings": BACKBONE, "click_channels": 8, "head_channels": 16},
        "data": {"train": photos, "crops": [{"size": 96, "until": 1}], "composer": composer},
        "schedule": {"steps": 10, "batch_size": 4, "lr": 1e-3},
    }
    return InteractiveRecipe(**{**settings, **changes})
