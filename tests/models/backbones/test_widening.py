"""Backbones with more input channels than an image has."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.backbones import Backbone, build_backbone
from models.backbones.weights import load_backbone_weights
from models.backbones.widening import into_widened, widen_input
from tests.helpers.tiny_backbones import TINY

SETTINGS = {**TINY, "compact": {"stem": 4, "widths": [4, 8, 8, 8], "depths": [1, 1, 1, 1]}}


def tiny(name: str) -> Backbone:
    torch.manual_seed(3)
    return build_backbone(name, SETTINGS[name]).eval()


def extra_weights(backbone: Backbone) -> torch.Tensor:
    """The first convolution's weights of the fourth channel, as a view."""
    first = next(m for m in backbone.modules() if isinstance(m, torch.nn.Conv2d))
    assert first.in_channels == 4
    return first.weight.data[:, 3:]


@pytest.mark.parametrize("name", SETTINGS)
def test_an_empty_new_channel_changes_nothing_and_a_full_one_does(name: str) -> None:
    plain, widened = tiny(name), tiny(name)
    widen_input(widened, 1)
    pixels, channel = torch.rand(1, 3, 64, 64), torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        before = plain(pixels)
        for got, expected in zip(widened(torch.cat([pixels, 0 * channel], dim=1)), before, strict=True):
            torch.testing.assert_close(got, expected)
        after = widened(torch.cat([pixels, channel], dim=1))
    assert not torch.allclose(after[0], before[0])


def test_no_extra_channel_leaves_the_backbone_alone() -> None:
    backbone = tiny("compact")
    before = list(backbone.modules())
    widen_input(backbone, 0)
    assert list(backbone.modules()) == before


def test_weights_keep_the_new_channels() -> None:
    own = {"conv": torch.full((2, 4, 1, 1), 5.0), "other": torch.zeros(2, 3)}
    given = {"conv": torch.ones(2, 3, 1, 1), "other": torch.ones(2, 3), "more": torch.ones(1)}
    fitting = into_widened(given, own)
    assert fitting["conv"][:, :, 0, 0].tolist() == [[1, 1, 1, 5], [1, 1, 1, 5]]
    assert torch.equal(fitting["other"], given["other"])
    assert fitting.keys() == given.keys()
    wrong = into_widened({"conv": torch.ones(7, 3, 1, 1)}, own)  # another width: left as it is, to be refused
    assert wrong["conv"].shape == (7, 3, 1, 1)


def test_published_weights_of_a_widened_backbone(tmp_path: Path) -> None:
    torch.manual_seed(8)
    published = build_backbone("segformer", SETTINGS["segformer"])
    published.body.save_pretrained(tmp_path)
    widened = tiny("segformer")
    widen_input(widened, 1)
    own = extra_weights(widened).clone()
    load_backbone_weights(widened, tmp_path)
    assert torch.equal(extra_weights(widened), own)
    pixels = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = published.eval()(pixels)
        got = widened(torch.cat([pixels, torch.zeros(1, 1, 64, 64)], dim=1))
    torch.testing.assert_close(got[3], expected[3])
