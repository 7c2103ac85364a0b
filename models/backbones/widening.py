"""Backbones that see more than an image: extra input channels of the first convolution.

A convolution of the extra channels, added to that of the image, is the same as one convolution of them all:
the way in which SegFormer sees clicks in FocalClick and EMC-Click.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.backbones.base import Backbone


def widen_input(backbone: Backbone, extra: int) -> None:
    """Let a backbone take ``extra`` channels after the image's, in place.

    The image's weights stay; those of the new channels are drawn as torch draws them.

    Args:
        backbone: Just built, or with its published weights.
        extra: Channels; 0 leaves the backbone as it is.
    """
    if extra == 0:
        return
    for parent in backbone.modules():
        for name, old in parent.named_children():
            if isinstance(old, nn.Conv2d):
                setattr(parent, name, _wider(old, extra))
                _expect(backbone, old.in_channels, old.in_channels + extra)
                return
    raise TypeError(f"expected a backbone with a convolution, got {type(backbone).__name__}")


def _expect(backbone: Backbone, before: int, after: int) -> None:
    """Modules of transformers compare their input with ``num_channels``."""
    for module in backbone.modules():
        if getattr(module, "num_channels", None) == before:
            module.num_channels = after  # type: ignore[assignment]  # an int, no tensor


def into_widened(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a backbone that sees images only, as a widened one takes them.

    Args:
        weights: By name; what fits is passed on as it is.
        own: Of the widened backbone; its weights of the new channels are kept.
    """
    fitting = dict(weights)
    for name in weights.keys() & own.keys():
        given, wanted = weights[name], own[name]
        wider = wanted.ndim == 4 and wanted.shape[1] > given.shape[1]
        if wider and given[:, :1].shape == wanted[:, :1].shape:
            fitting[name] = torch.cat([given, wanted[:, given.shape[1] :]], dim=1)
    return fitting


def _wider(old: nn.Conv2d, extra: int) -> nn.Conv2d:
    new = nn.Conv2d(
        old.in_channels + extra,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]  # pairs, as torch made them
        old.stride,  # type: ignore[arg-type]
        old.padding,  # type: ignore[arg-type]
        bias=old.bias is not None,
        device=old.weight.device,
        dtype=old.weight.dtype,
    )
    with torch.no_grad():
        new.weight[:, : old.in_channels] = old.weight
        if old.bias is not None and new.bias is not None:
            new.bias.copy_(old.bias)
    return new
