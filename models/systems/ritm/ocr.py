"""Object-contextual representations for one object: the head of RITM's HRNets."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones.compact import conv_norm

DROPOUT = 0.05


def unit(inputs: int, outputs: int, kernel: int = 1) -> nn.Sequential:
    """Convolution, BatchNorm, ReLU."""
    return nn.Sequential(*conv_norm(inputs, outputs, kernel), nn.ReLU())


class ObjectContext(nn.Module):
    """Each pixel attends to the mean features of the object region.

    Source: Yuan et al., "Object-Contextual Representations" (2020), equations 1–5, with one region.
    """

    def __init__(self, channels: int, keys: int) -> None:
        super().__init__()
        self.pixel = nn.Sequential(unit(channels, keys), unit(keys, keys))
        self.region = nn.Sequential(unit(channels, keys), unit(keys, keys))
        self.down = unit(channels, keys)
        self.up = unit(keys, channels)
        self.fuse = nn.Sequential(unit(2 * channels, channels), nn.Dropout2d(DROPOUT))

    def forward(self, features: Tensor, coarse: Tensor) -> Tensor:
        """Enrich features.

        Args:
            features: ``[B, C, H, W]``.
            coarse: ``[B, 1, H, W]`` logits of the object region.
        """
        attention = coarse.flatten(2).softmax(2)  # [B, 1, HW]
        region = (attention @ features.flatten(2).transpose(1, 2)).transpose(1, 2)[..., None]  # [B, C, 1, 1]
        query = self.pixel(features).flatten(2).transpose(1, 2)  # [B, HW, K]
        key = self.region(region).flatten(2)  # [B, K, 1]
        weight = (query @ key * query.shape[-1] ** -0.5).softmax(-1)  # [B, HW, 1]
        context = weight @ self.down(region).flatten(2).transpose(1, 2)  # [B, HW, K]
        context = context.transpose(1, 2).reshape(len(features), -1, *features.shape[-2:])
        return self.fuse(torch.cat([self.up(context), features], dim=1))


class OcrHead(nn.Module):
    """HRNet's four maps at stride 4 side by side, a coarse output, the context, the final output.

    Args:
        inputs: Channels of the maps.
        keys: Channels in which pixels and regions are compared; features have twice as many.
    """

    def __init__(self, inputs: tuple[int, ...], keys: int) -> None:
        super().__init__()
        total, channels = sum(inputs), 2 * keys
        self.coarse = nn.Sequential(unit(total, total), nn.Conv2d(total, 1, 1))
        self.features = unit(total, channels, kernel=3)
        self.context = ObjectContext(channels, keys)
        self.final = nn.Conv2d(channels, 1, 1)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Features ``[B, C, H / 4, W / 4]``, final and coarse logits ``[B, 1, H / 4, W / 4]``."""
        size = maps[0].shape[-2:]
        grown = [
            maps[0], *(F.interpolate(x, size, mode="bilinear", align_corners=False) for x in maps[1:])
        ]  # fmt: skip
        together = torch.cat(grown, dim=1)
        coarse = self.coarse(together)
        features = self.context(self.features(together), coarse)
        return features, self.final(features), coarse
