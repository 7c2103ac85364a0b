"""Sizes of the recipes' networks: counted by hand, and as `declutter models show` prints them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.one_click import OneClickConfig, OneClickModel
from models.one_click.model import click_maps_of
from models.recipes import recipe_names
from models.sizes import PUBLISHED_FIGURES, frozen_config, recipe_size
from tests.helpers.networks import random_one_click
from toolkit.cli import run
from toolkit.errors import InputError
from toolkit.flops import count_flops


def test_flops_of_a_convolution_and_a_linear_layer() -> None:
    with torch.device("meta"):
        conv, linear = torch.nn.Conv2d(3, 5, 3, padding=1), torch.nn.Linear(7, 11)
        assert count_flops(lambda: conv(torch.zeros(1, 3, 8, 6))) == 2 * 8 * 6 * 5 * 3 * 9
        assert count_flops(lambda: linear(torch.zeros(2, 7))) == 2 * 2 * 7 * 11


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_flops_of_attention(device: str) -> None:
    tokens = torch.zeros(1, 3, 49, 32, device=device)  # heads, tokens, channels
    attend = torch.nn.functional.scaled_dot_product_attention
    assert count_flops(lambda: attend(tokens, tokens, tokens)) == 2 * 2 * 3 * 49 * 49 * 32


def test_the_published_heads_parameters_by_hand() -> None:
    size = recipe_size("one-click-r50-panoptic")
    unit = 256 * 256 * 9 + 2 * 256  # 3 × 3 without bias, and its norm's scale and shift
    towers = 2 * (288 * 256 * 9 + 2 * 256 + 3 * unit)
    kernel_tower = 258 * 256 * 9 + 2 * 256 + 2 * unit
    outputs = (256 * 9 + 1) * (1 + 4 + 1 + 169)
    clicks = 4 * 32 * 9
    assert size.parts["heads"] == towers + kernel_tower + outputs + clicks + 4
    mask_unit = 128 * 128 * 9 + 2 * 128
    assert size.parts["mask_branch"] == 4 * (256 * 128 * 9 + 2 * 128) + 4 * mask_unit + 128 * 8 + 8
    lateral = sum(width * 256 + 256 for width in (256, 512, 1024, 2048))
    assert size.parts["fpn"] == lateral + 4 * (256 * 256 * 9 + 256)
    assert size.parts["backbone"] == 23_508_032  # ResNet-50 without its classifier
    assert size.parameters == sum(size.parts.values())


def test_a_compact_network_counts_as_the_real_one_does() -> None:
    size = recipe_size("one-click-compact")
    network = OneClickModel(OneClickConfig()).eval()
    assert size.parameters == sum(p.numel() for p in network.parameters())
    # four times the pixels are four times the work: every layer is a convolution
    small = count_flops(lambda: network(torch.zeros(1, 3, 128, 128), click_maps_of([[]], 128, 128)))
    assert size.flops == pytest.approx(64 * small, rel=1e-3)


def test_what_a_proposal_network_stands_on(tmp_path: Path) -> None:
    assert frozen_config(None).pyramid_channels == 64
    assert frozen_config(Path("runs/one-click-swin-l-distractors/final")).pyramid_channels == 256
    random_one_click().save_pretrained(tmp_path)
    assert frozen_config(tmp_path).pyramid_channels == 16
    with pytest.raises(InputError, match="one_click: no 1C-DSN in"):
        frozen_config(tmp_path / "nothing")


def test_published_figures_belong_to_packaged_recipes() -> None:
    assert set(PUBLISHED_FIGURES) <= set(recipe_names())


def test_show_all_lists_every_recipe(capsys) -> None:
    assert run(["models", "show", "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = {line.split()[0] for line in lines[1:] if line and not line.startswith((" ", "GFLOPs"))}
    assert shown == set(recipe_names())
    swin = next(line for line in lines if line.startswith("one-click-swin-l-lvis"))
    assert "AP 40.2" in swin


def test_show_a_recipe(capsys) -> None:
    assert run(["models", "show", "one-click-r101-distractors"]) == 0
    said = capsys.readouterr().out
    assert "backbone               42.500 M" in said
    assert "published: SimpSON, distractors: AP 29.9" in said


def test_show_says_what_there_is(capsys) -> None:
    assert run(["models", "show", "nothing"]) == 2
    assert "one-click-r101-lvis" in capsys.readouterr().err
    assert run(["models", "show"]) == 2
    assert "--all" in capsys.readouterr().err
