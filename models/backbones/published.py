"""The published backbones: their sizes, and where their weights are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class PublishedBackbone:
    """A backbone as its authors trained it.

    Attributes:
        model_type: Of transformers.
        settings: Arguments of that type's configuration.
        weights: Hub id of its ImageNet weights, for ``from_pretrained``.
        source: The paper.
    """

    model_type: str
    settings: Mapping[str, Any]
    weights: str
    source: str


def _resnet(depth: int, kind: str, widths: list[int], depths: list[int]) -> PublishedBackbone:
    settings = {"embedding_size": 64, "hidden_sizes": widths, "depths": depths, "layer_type": kind}
    return PublishedBackbone("resnet", settings, f"microsoft/resnet-{depth}", "He et al. (2016), table 1")


def _mit(size: int, widths: list[int], depths: list[int], decoder: int) -> PublishedBackbone:
    settings = {"hidden_sizes": widths, "depths": depths, "decoder_hidden_size": decoder}
    return PublishedBackbone("segformer", settings, f"nvidia/mit-b{size}", "Xie et al. (2021), table 6")


_WIDE = [256, 512, 1024, 2048]

PUBLISHED: Mapping[str, PublishedBackbone] = MappingProxyType(
    {
        "resnet-18": _resnet(18, "basic", [64, 128, 256, 512], [2, 2, 2, 2]),
        "resnet-50": _resnet(50, "bottleneck", _WIDE, [3, 4, 6, 3]),
        "resnet-101": _resnet(101, "bottleneck", _WIDE, [3, 4, 23, 3]),
        "mit-b0": _mit(0, [32, 64, 160, 256], [2, 2, 2, 2], 256),
        "mit-b3": _mit(3, [64, 128, 320, 512], [3, 4, 18, 3], 768),
        "swin-t": PublishedBackbone(
            "swin",
            {"embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24], "window_size": 7},
            "microsoft/swin-tiny-patch4-window7-224",
            "Liu et al. (2021), section 3.3",
        ),
        "swin-l": PublishedBackbone(
            "swin",
            {
                "embed_dim": 192,
                "depths": [2, 2, 18, 2],
                "num_heads": [6, 12, 24, 48],
                "window_size": 12,
                "image_size": 384,
            },
            "microsoft/swin-large-patch4-window12-384-in22k",
            "Liu et al. (2021), section 3.3",
        ),
        "convnext-t": PublishedBackbone(
            "convnext",
            {"hidden_sizes": [96, 192, 384, 768], "depths": [3, 3, 9, 3]},
            "facebook/convnext-tiny-224",
            "Liu et al. (2022), section 3",
        ),
    }
)
