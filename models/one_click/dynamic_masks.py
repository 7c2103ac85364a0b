"""Mask branch, and masks by dynamic kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.one_click.config import OneClickConfig
from models.one_click.layers import ConvUnit, Tower

MASK_FEATURES = 8
# Three 1×1 layers, 10 → 8 → 8 → 1 (8 features and 2 relative coordinates): (10·8 + 8) + (8·8 + 8) + (8 + 1)
KERNEL_PARAMETERS = 169
LAYER_PARAMETERS = (88, 72, 9)  # weights and biases of each of the three layers
SIZES_OF_INTEREST = (32.0, 64.0, 128.0, 256.0)  # pixels; scale of the relative coordinates on P2–P5
MASK_STRIDE = 4


class MaskBranch(nn.Module):
    """Eight feature channels at stride 4 from all pyramid levels.

    Source: Entity Segmentation (Qi et al., 2021), the mask branch.
    """

    def __init__(self, config: OneClickConfig) -> None:
        super().__init__()
        inputs = config.pyramid_channels
        if config.click_embedding and config.click_in_masks:
            inputs += config.click_channels
        norm = config.mask_norm or config.norm
        self.levels = nn.ModuleList(ConvUnit(inputs, config.mask_channels, norm) for _ in range(4))
        self.tower = Tower(config.mask_channels, config.mask_channels, config.mask_depth, norm)
        self.project = nn.Conv2d(config.mask_channels, MASK_FEATURES, 1)

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """``[B, 8, H / 4, W / 4]`` from P2–P5."""
        total = self.levels[0](pyramid[0])
        for unit, feature in zip(self.levels[1:], pyramid[1:], strict=True):
            total = total + F.interpolate(
                unit(feature), size=total.shape[-2:], mode="bilinear", align_corners=False
            )
        return self.project(self.tower(total))


def dynamic_masks(
    features: Tensor,
    kernels: Tensor,
    locations: Tensor,
    sizes: Tensor,
    origin: tuple[int, int] = (0, 0),
) -> Tensor:
    """Mask logits of N objects, each with its own small network over shared features.

    Args:
        features: ``[8, H, W]`` at stride 4, or ``[N, 8, H, W]`` for a window of its own per object.
        kernels: ``[N, 169]``.
        locations: ``[N, 2]``, (x, y) in pixels, where each kernel was predicted.
        sizes: ``[N]``, the size of interest of that location's level, in pixels.
        origin: (column, row) of ``features``' first cell in the whole map; or pass shifted locations.

    Returns:
        ``[N, H, W]`` logits at stride 4.

    Source: Tian et al., "Conditional Convolutions for Instance Segmentation" (2020), section 3.
    """
    n = kernels.shape[0]
    height, width = features.shape[-2:]
    w1, b1, w2, b2, w3, b3 = _layers(kernels)
    x = (locations[:, :1] - _middles(width, kernels, origin[0])) / sizes[:, None]  # [N, W]
    y = (locations[:, 1:] - _middles(height, kernels, origin[1])) / sizes[:, None]  # [N, H]
    flat = features.flatten(-2)  # [8, HW] or [N, 8, HW]
    hidden = torch.matmul(w1[:, :, :8], flat).view(n, 8, height, width)
    # the coordinates are separable, so their part of the first layer needs no [N, 2, H, W] input
    hidden = hidden + (w1[:, :, 8:9] * x[:, None, :])[:, :, None, :]  # [N, 8, 1, W]
    hidden = hidden + (w1[:, :, 9:10] * y[:, None, :])[:, :, :, None]  # [N, 8, H, 1]
    hidden = (hidden + b1[:, :, :, None]).relu().flatten(2)  # [N, 8, HW]
    hidden = torch.baddbmm(b2, w2, hidden).relu()
    return torch.baddbmm(b3, w3, hidden).view(n, height, width)


def _layers(kernels: Tensor) -> tuple[Tensor, ...]:
    """Weights ``[N, out, in]`` and biases ``[N, out, 1]`` of each of the three layers in turn."""
    n = len(kernels)
    w1, b1, w2, b2, w3, b3 = torch.split(kernels, [80, 8, 64, 8, 8, 1], dim=1)
    biases = (b[:, :, None] for b in (b1, b2, b3))
    weights = (w1.view(n, 8, 10), w2.view(n, 8, 8), w3.view(n, 1, 8))
    return tuple(part for layer in zip(weights, biases, strict=True) for part in layer)


def _middles(cells: int, like: Tensor, first: int = 0) -> Tensor:
    """Middles of so many cells from one on, in pixels; with the type and device of ``like``."""
    places = torch.arange(cells, device=like.device, dtype=like.dtype) + first
    return places * MASK_STRIDE + MASK_STRIDE // 2


def drawable(features: Tensor) -> np.ndarray:
    """What a :class:`MaskDrawer` reads: mask features ``[8, H, W]`` and where each cell lies, ``[11, H, W]``.

    The last three are x and y in pixels, and 1.
    """
    height, width = features.shape[-2:]
    y, x = _middles(height, features), _middles(width, features)
    places = [x.expand(height, width), y[:, None].expand(height, width), torch.ones_like(features[0])]
    whole: np.ndarray = torch.cat([features, torch.stack(places)]).cpu().numpy()
    return whole


@dataclass(frozen=True)
class MaskDrawer:
    """What :func:`dynamic_masks` computes, for objects in windows of different sizes, one after the other.

    Of so little work most is overhead, of which NumPy has the least. A relative coordinate is linear in a
    cell's place, so the first layer reads :func:`drawable` features, and no object needs coordinates of its
    own.

    Attributes:
        layers: Of each of N objects, weights ``[8, 11]``, ``[8, 8]``, ``[1, 8]``.
        biases: Of the last two, ``[8, 1]`` and ``[1, 1]``.
    """

    layers: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
    biases: list[tuple[np.ndarray, np.ndarray]]

    @staticmethod
    def of(kernels: np.ndarray, locations: np.ndarray, sizes: np.ndarray) -> MaskDrawer:
        """Make kernels ready; arguments as for :func:`dynamic_masks`."""
        w1, b1, w2, b2, w3, b3 = (part.numpy() for part in _layers(torch.from_numpy(kernels)))
        slope = w1[:, :, 8:] / sizes[:, None, None]  # [N, 8, 2], per pixel
        offset = b1 + (slope * locations[:, None]).sum(2, keepdims=True)
        first = np.concatenate([w1[:, :, :8], -slope, offset], 2)  # [N, 8, 11]
        return MaskDrawer(list(zip(first, w2, w3, strict=True)), list(zip(b2, b3, strict=True)))

    def draw(self, index: int, window: np.ndarray) -> np.ndarray:
        """Logits ``[H, W]`` of one object.

        Args:
            index: Of the object.
            window: ``[11, H, W]`` of :func:`drawable` features.
        """
        first, second, last = self.layers[index]
        second_bias, last_bias = self.biases[index]
        hidden = first @ window.reshape(len(window), -1)  # [8, HW]
        np.maximum(hidden, 0, out=hidden)
        hidden = second @ hidden
        hidden += second_bias
        np.maximum(hidden, 0, out=hidden)
        logits: np.ndarray = (last @ hidden + last_bias).reshape(window.shape[1:])
        return logits
