"""Build a backbone from its configuration; transformers supplies the published ones."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor

from models.backbones.base import Backbone
from models.backbones.compact import CompactBackbone
from models.backbones.hrnet import HighResolutionBackbone
from models.backbones.published import PUBLISHED
from toolkit.errors import InputError

THROUGH_AUTO_BACKBONE = ("resnet", "swin", "convnext")
HIGH_RESOLUTION: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "hrnet-18s": {"width": 18, "small": True},
        "hrnet-18": {"width": 18},
        "hrnet-32": {"width": 32},
    }
)


class TransformersBackbone(Backbone):
    """A transformers backbone (ResNet, Swin, ConvNeXt) with its four stages put out."""

    def __init__(self, model_type: str, settings: Mapping[str, Any]) -> None:
        super().__init__()
        from transformers import AutoBackbone, AutoConfig

        config = AutoConfig.for_model(model_type, **settings)
        config.out_features = ["stage1", "stage2", "stage3", "stage4"]
        self.body = AutoBackbone.from_config(config)
        self.channels = tuple(self.body.channels)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Feature maps at strides 4, 8, 16, 32 of normalised pixels ``[B, 3, H, W]``."""
        return list(self.body(pixels).feature_maps)


class SegformerBackbone(Backbone):
    """The MiT encoder of SegFormer, which AutoBackbone does not take."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        from transformers import SegformerConfig, SegformerModel

        config = SegformerConfig(**settings)
        self.body = SegformerModel(config)
        self.channels = tuple(config.hidden_sizes)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Feature maps at strides 4, 8, 16, 32 of normalised pixels ``[B, 3, H, W]``."""
        return list(self.body(pixels, output_hidden_states=True).hidden_states)


def build_backbone(name: str, settings: Mapping[str, Any]) -> Backbone:
    """Build a backbone with random weights.

    Args:
        name: ``compact``, an HRNet (``hrnet-18s``, ``hrnet-18``, ``hrnet-32``), a published one
            (``resnet-50``; see :mod:`models.backbones.published`), or a transformers model type.
        settings: Arguments of its configuration; they replace those of a published size.

    Raises:
        InputError: The name is none of those, or the backbone has no such setting.
    """
    if name == "compact":
        try:
            return CompactBackbone(**settings)
        except TypeError as error:
            raise InputError(f"backbone_settings of the compact backbone: {error}") from error
    if name in HIGH_RESOLUTION:
        try:
            return HighResolutionBackbone(**{**HIGH_RESOLUTION[name], **settings})
        except TypeError as error:
            raise InputError(f"backbone_settings of {name}: {error}") from error
    model_type = name
    if name in PUBLISHED:
        model_type, settings = PUBLISHED[name].model_type, {**PUBLISHED[name].settings, **settings}
    if model_type == "segformer":
        return SegformerBackbone(settings)
    if model_type in THROUGH_AUTO_BACKBONE:
        return TransformersBackbone(model_type, settings)
    known = ", ".join(["compact", *HIGH_RESOLUTION, *THROUGH_AUTO_BACKBONE, "segformer", *PUBLISHED])
    raise InputError(f"backbone '{name}' is not known; choose one of {known}")
