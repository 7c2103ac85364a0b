"""HRNet: its size as published, its maps, and what is added early."""

from __future__ import annotations

import pytest
import torch

from models.backbones import build_backbone
from models.backbones.hrnet import Exchange, HighResolutionBackbone
from toolkit.errors import InputError


def test_maps_lie_at_strides_4_to_32() -> None:
    torch.manual_seed(0)
    network = HighResolutionBackbone(width=4, small=True).eval()
    with torch.no_grad():
        maps = network(torch.randn(2, 3, 64, 96))
    assert [tuple(x.shape) for x in maps] == [(2, 4, 16, 24), (2, 8, 8, 12), (2, 16, 4, 6), (2, 32, 2, 3)]
    assert network.channels == (4, 8, 16, 32)


def test_sides_need_not_divide() -> None:
    network = HighResolutionBackbone(width=4, small=True).eval()
    with torch.no_grad():
        assert [tuple(x.shape[-2:]) for x in network(torch.randn(1, 3, 50, 36))] == [
            (13, 9), (7, 5), (4, 3), (2, 2)
        ]  # fmt: skip


def test_early_maps_are_added_after_the_first_convolution() -> None:
    torch.manual_seed(0)
    network = HighResolutionBackbone(width=4, small=True).eval()
    pixels, added = torch.randn(1, 3, 32, 32), torch.randn(1, network.early_channels, 16, 16)
    with torch.no_grad():
        plain = network(pixels)
        zero = network(pixels, torch.zeros_like(added))
        moved = network(pixels, added)
    assert all(torch.equal(a, b) for a, b in zip(plain, zero, strict=True))
    assert all(not torch.equal(a, b) for a, b in zip(plain, moved, strict=True))


def test_an_exchange_by_hand() -> None:
    # two resolutions without blocks; convolutions of ones; norms that do nothing
    exchange = Exchange([1, 1], blocks=0).eval()
    for module in exchange.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.ones_(module.weight)
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 0.0
    large, small = torch.ones(1, 1, 4, 4), torch.full((1, 1, 2, 2), 5.0)
    with torch.no_grad():
        one, two = exchange([large, small])
    assert (one == 1 + 5).all()
    # a 3 × 3 of stride 2 sums 4, 6 or 9 ones
    assert two[0, 0].tolist() == [[5 + 4, 5 + 6], [5 + 6, 5 + 9]]


def test_names_and_settings() -> None:
    assert build_backbone("hrnet-18", {"width": 2}).channels == (2, 4, 8, 16)
    with pytest.raises(InputError, match="backbone_settings of hrnet-32"):
        build_backbone("hrnet-32", {"depth": 2})
