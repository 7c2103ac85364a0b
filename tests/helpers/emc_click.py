"""Tiny EMC-Click networks."""

from __future__ import annotations

import torch

from models.systems.emc_click.config import EmcClickConfig
from models.systems.emc_click.network import EmcClickNetwork
from tests.helpers.networks import BACKBONE, settle_norms

SETTINGS = {
    "backbone_settings": BACKBONE,
    "decoder_channels": 16,
    "correction_channels": 8,
    "attention_heads": 2,
    "first_size": 96,
}


def random_emc_click(seed: int = 0, **changes) -> EmcClickNetwork:
    """A network of some 20 k parameters, whose masks vary with photo and clicks."""
    torch.manual_seed(seed)
    network = EmcClickNetwork(EmcClickConfig(**{**SETTINGS, **changes}))
    image = torch.randint(0, 256, (2, 3, 64, 96))
    points = torch.tensor([[[30.5, 20.5, 1.0], [50.5, 40.5, 0.0]], [[10.5, 50.5, 1.0], [60.5, 9.5, 1.0]]])
    return settle_norms(network, image, points, torch.rand(2, 1, 64, 96))
