"""Folded networks answer as before."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from models.folding import fold_batch_norm
from models.one_click.layers import ConvUnit
from models.selector import Selector
from tests.helpers.networks import save_selector


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def settled(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels)
    for values in (norm.running_mean, norm.weight.data, norm.bias.data):
        assert values is not None
        nn.init.normal_(values)
    assert norm.running_var is not None
    nn.init.uniform_(norm.running_var, 0.2, 3)
    return norm


def test_one_channel_by_hand() -> None:
    conv, norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.0)
    network = nn.Sequential(conv, norm).eval()
    with torch.no_grad():
        conv.weight.fill_(3)
        conv.bias.fill_(1)  # type: ignore[union-attr]
        norm.running_mean.fill_(5)  # type: ignore[union-attr]
        norm.running_var.fill_(4)  # type: ignore[union-attr]
        norm.weight.fill_(6)
        norm.bias.fill_(7)
    fold_batch_norm(network)
    # ((3 x + 1) - 5) / 2 · 6 + 7 = 9 x - 5
    assert conv.weight.item() == pytest.approx(9)
    assert conv.bias.item() == pytest.approx(-5)  # type: ignore[union-attr]
    assert isinstance(network[1], nn.Identity)


def test_windows_and_maps_of_a_folded_unit(rng) -> None:
    unit = ConvUnit(3, 4, "batch")
    unit.norm = settled(4)
    unit.eval()
    x = torch.from_numpy(rng.normal(size=(2, 3, 8, 8))).float()
    inside = torch.ones(2, 1, 8, 8)
    inside[..., 5:] = 0
    maps, windows = unit(x), unit.on_windows(x * inside, inside)
    fold_batch_norm(unit)
    assert norms(unit) == 0
    torch.testing.assert_close(unit(x), maps)
    torch.testing.assert_close(unit.on_windows(x * inside, inside), windows)


def test_what_does_not_follow_a_convolution_stays() -> None:
    network = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU(), settled(2), nn.Conv2d(2, 2, 1)).eval()
    x = torch.randn(1, 2, 3, 3)
    before = network(x)
    fold_batch_norm(network)
    assert norms(network) == 1
    torch.testing.assert_close(network(x), before)


def test_group_norm_stays() -> None:
    unit = ConvUnit(3, 4, "group").eval()
    fold_batch_norm(unit)
    assert isinstance(unit.norm, nn.GroupNorm)


def test_a_network_in_training_is_refused() -> None:
    with pytest.raises(ValueError, match="training mode"):
        fold_batch_norm(ConvUnit(3, 4, "batch"))


def test_selectors_fold_all_their_networks(tmp_path: Path) -> None:
    models = Selector.load(save_selector(tmp_path), device="cpu").models
    assert models.proposals is not None
    assert models.verification is not None
    assert [norms(n) for n in (models.finder.model, models.proposals, models.verification)] == [0, 0, 0]
