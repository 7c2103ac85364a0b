"""The bundled backbone under a network that shows it the first click too."""

from __future__ import annotations

from pathlib import Path

import torch

from models.systems.clicking.pretrained import load_pretrained
from tests.helpers.emc_click import random_emc_click
from tests.helpers.networks import random_one_click


def test_the_images_weights_arrive_and_the_clicks_stay(tmp_path: Path) -> None:
    source = random_one_click(seed=4)
    source.save_pretrained(tmp_path)
    network = random_emc_click()
    own = network.backbone.stem[0][0].weight[:, 3:].clone()
    load_pretrained(network.backbone, str(tmp_path))
    weights = network.backbone.stem[0][0].weight
    assert torch.equal(weights[:, :3], source.backbone.stem[0][0].weight)
    assert torch.equal(weights[:, 3:], own)
    pixels = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = source.backbone(pixels)
        got = network.backbone(torch.cat([pixels, torch.zeros(1, 1, 64, 64)], dim=1))
    torch.testing.assert_close(got[3], expected[3])
