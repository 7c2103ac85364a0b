"""Backbones at stride 8: dilation in place of the last two strides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from models.backbones import Backbone, CompactBackbone, build_backbone
from models.backbones.build import TransformersBackbone
from toolkit.errors import InputError

STRIDE = 8
VGG = "vgg-16"
# Simonyan and Zisserman, "Very Deep Convolutional Networks" (2015), table 1, D: convolutions between pools.
_VGG_WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VggBackbone(Backbone):
    """The 13 convolutions of VGG-16; the last three are dilated in place of the last pools."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for stage, widths in enumerate(_VGG_WIDTHS):
            if 0 < stage < 4:
                layers.append(nn.MaxPool2d(2))
            dilation = 2 if stage == 4 else 1
            for width in widths:
                layers += [nn.Conv2d(inputs, width, 3, padding=dilation, dilation=dilation), nn.ReLU()]
                inputs = width
        self.layers = nn.Sequential(*layers)
        self.channels = (inputs,)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """``[B, 512, H / 8, W / 8]`` of pixels ``[B, 3, H, W]``."""
        return [self.layers(pixels)]


def build_at_stride_8(name: str, settings: Mapping[str, Any]) -> Backbone:
    """Build a backbone whose last map has stride 8, with random weights.

    Args:
        name: ``vgg-16``, ``compact`` or a ResNet of :mod:`models.backbones`.
        settings: Arguments of the backbone.

    Raises:
        InputError: The backbone is another one, or has no such setting.
    """
    if name == VGG:
        if settings:
            raise InputError("backbone_settings: vgg-16 has none; leave them out")
        return VggBackbone()
    backbone = build_backbone(name, settings)
    stages: Iterable[nn.Module] | None = None
    if isinstance(backbone, CompactBackbone):
        stages = backbone.stages
    elif isinstance(backbone, TransformersBackbone) and backbone.body.config.model_type == "resnet":
        stages = backbone.body.encoder.stages
    if stages is None:
        raise InputError(f"backbone '{name}': can't be dilated; expected compact, a ResNet or {VGG}")
    *_, third, fourth = stages
    _dilate(third, 2)
    _dilate(fourth, 4)
    return backbone


def _dilate(stage: nn.Module, dilation: int) -> None:
    """Take a stage's strides out, and space its kernels instead (DeepLab-v2, section 3.1), in place."""
    for module in stage.modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
            if module.kernel_size != (1, 1):
                module.dilation = (dilation, dilation)
                module.padding = (dilation, dilation)
        elif isinstance(module, nn.AvgPool2d):  # of a shortcut
            module.kernel_size = module.stride = 1
