"""Pretrained weights for a system's backbone: published ones, or those of a trained 1C-DSN."""

from __future__ import annotations

from pathlib import Path

import torch

from models.backbones import Backbone
from models.backbones.weights import load_backbone_weights
from models.backbones.widening import into_widened
from models.loading import BUNDLED, load_network
from models.one_click import OneClickModel
from toolkit.errors import InputError

BUNDLED_NAME = "bundled"


def one_click_folder(source: str) -> Path:
    """The folder of a 1C-DSN that a name stands for: ``bundled``, or the folder itself."""
    return BUNDLED / "one-click" if source == BUNDLED_NAME else Path(source)


def load_pretrained(backbone: Backbone, source: str) -> None:
    """Put weights into a backbone, in place.

    Args:
        backbone: Of the system; channels that it sees beside the image's keep their weights.
        source: ``bundled`` for the backbone of the bundled 1C-DSN, the folder of another 1C-DSN, or what
            :func:`models.backbones.weights.load_backbone_weights` takes.

    Raises:
        InputError: There are no weights, or they are of another network or size.
    """
    folder = one_click_folder(source)
    config = folder / "config.json"
    if not config.is_file() or OneClickModel.config_class.model_type not in config.read_text(
        encoding="utf-8"
    ):
        load_backbone_weights(backbone, source)
        return
    found = load_network(OneClickModel, folder, None, torch.device("cpu"))
    own = backbone.state_dict()
    weights = {} if found is None else into_widened(found.backbone.state_dict(), own)
    if weights.keys() != own.keys() or any(weights[name].shape != own[name].shape for name in own):
        raise InputError(
            f"backbone_weights '{source}': a backbone of another kind or size; expected that of a 1C-DSN "
            "whose backbone and backbone_settings are the same"
        )
    backbone.load_state_dict(weights)
