"""Backbones give four maps at strides 4, 8, 16 and 32."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from models.backbones import CompactBackbone, build_backbone
from toolkit.errors import InputError

TINY: dict[str, dict[str, Any]] = {
    "compact": {"stem": 4, "widths": [8, 8, 16, 16], "depths": [1, 2, 1, 1]},
    "resnet": {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]},
    "swin": {"embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 1, 1], "window_size": 4},
    "convnext": {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]},
    "segformer": {
        "hidden_sizes": [8, 8, 16, 16],
        "depths": [1, 1, 1, 1],
        "num_attention_heads": [1, 1, 1, 1],
    },
}


@pytest.mark.parametrize("kind", TINY)
def test_maps_at_four_strides(kind: str) -> None:
    backbone = build_backbone(kind, TINY[kind]).eval()
    with torch.no_grad():
        maps = backbone(torch.randn(2, 3, 64, 96))
    expected = [
        (2, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(backbone.channels, (4, 8, 16, 32), strict=True)
    ]
    assert [tuple(m.shape) for m in maps] == expected
    assert backbone.channels == ((8, 16, 32, 64) if kind == "swin" else (8, 8, 16, 16))


def test_an_unknown_backbone() -> None:
    with pytest.raises(InputError, match="backbone 'vgg' is not known; choose one of compact, hrnet-18s"):
        build_backbone("vgg", {})


def test_unknown_settings_of_the_compact_backbone() -> None:
    with pytest.raises(InputError, match=r"backbone_settings of the compact backbone: .*'width'"):
        build_backbone("compact", {"width": 3})


def test_a_compact_block_starts_as_its_shortcut() -> None:
    torch.manual_seed(0)
    backbone = CompactBackbone(stem=4, widths=(8, 8, 8, 8), depths=(2, 2, 1, 1)).eval()
    pixels = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        stem = backbone.stem(pixels)
        maps = backbone(pixels)
    torch.testing.assert_close(maps[0], stem)  # the stem ends in a ReLU, so the identity passes through
    pooled = torch.nn.functional.avg_pool2d(stem, 2)
    torch.testing.assert_close(maps[1], pooled)


def test_odd_sizes_round_up() -> None:
    backbone = CompactBackbone(stem=4, widths=(8, 8, 8, 8), depths=(1, 1, 1, 1)).eval()
    with torch.no_grad():
        sizes = [tuple(m.shape[-2:]) for m in backbone(torch.randn(1, 3, 34, 50))]
    assert sizes == [(9, 13), (5, 7), (3, 4), (2, 2)]
