"""Detection and kernel heads of 1C-DSN, shared by all pyramid levels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.one_click.config import OneClickConfig
from models.one_click.dynamic_masks import KERNEL_PARAMETERS
from models.one_click.kernel_bank import initial_static_kernels
from models.one_click.layers import Tower, shrink, shrink_inside
from models.pyramid import STRIDES

CLASS_PRIOR = 0.01  # RetinaNet, section 4.1: the initial probability of a positive
# A box lies on the level where its larger side is at most 16 strides, so about 4 strides from centre to side.
INITIAL_DISTANCE = 4.0


@dataclass(frozen=True)
class LevelOutput:
    """Head outputs on one level, whole maps (``S`` = map) or windows.

    Attributes:
        logits: ``[B, 1, H, W]`` objectness before the sigmoid.
        distances: ``[B, 4, H, W]`` to left, top, right, bottom, in strides, non-negative.
        centerness: ``[B, 1, H, W]`` before the sigmoid.
        features: ``[B, C, H, W]`` of the box tower, which the kernel head reads.
    """

    logits: Tensor
    distances: Tensor
    centerness: Tensor
    features: Tensor


class OneClickHeads(nn.Module):
    """FCOS head (class-agnostic) and kernel head on click-embedded features.

    Source: SimpSON, section 3.1; the designs are Entity Segmentation's, narrowed by the configuration.
    """

    def __init__(self, config: OneClickConfig) -> None:
        super().__init__()
        self.config = config
        # cells that a kernel reads around its location in the box tower's features
        self.kernel_reach = config.kernel_depth + 1
        inputs = config.pyramid_channels
        if config.click_embedding:
            inputs += config.click_channels
            # conv_i of section 3.1; without bias, so that a cell far from every click gets zeros
            self.click_convs: Sequence[nn.Conv2d] = nn.ModuleList(  # type: ignore[assignment]
                nn.Conv2d(1, config.click_channels, 3, padding=1, bias=False) for _ in STRIDES
            )
        width = config.head_channels
        self.class_tower = Tower(inputs, width, config.head_depth, config.norm)
        self.box_tower = Tower(inputs, width, config.head_depth, config.norm)
        self.class_logits = nn.Conv2d(width, 1, 3, padding=1)
        self.box_distances = nn.Conv2d(width, 4, 3, padding=1)
        self.centerness = nn.Conv2d(width, 1, 3, padding=1)
        self.scales = nn.Parameter(torch.ones(len(STRIDES)))
        coordinates = 2 if config.kernel_coordinates else 0
        self.kernel_tower = Tower(
            width + coordinates, config.kernel_channels, config.kernel_depth, config.norm
        )
        self.kernels = nn.Conv2d(config.kernel_channels, KERNEL_PARAMETERS, 3, padding=1)
        # of Entity Segmentation's kernel bank: the same for every object; no parameter where it is off
        self.static_kernels = nn.Parameter(initial_static_kernels()) if config.kernel_bank else None
        _initialise(self.class_logits, -math.log((1 - CLASS_PRIOR) / CLASS_PRIOR))
        _initialise(self.box_distances, INITIAL_DISTANCE)
        _initialise(self.centerness, 0.0)
        _initialise(self.kernels, 0.0)

    def embed(self, feature: Tensor, clicks: Tensor | None, level: int) -> Tensor:
        """Join a level's features ``[B, C, H, W]`` with the projection of its click map ``[B, 1, H, W]``.

        Without clicks the projection would be zeros, which the towers do not need to see.
        """
        if clicks is None or not self.config.click_embedding:
            return feature
        return torch.cat([feature, self.click_convs[level](clicks.to(feature.dtype))], 1)

    def forward(self, feature: Tensor, clicks: Tensor | None, level: int) -> LevelOutput:
        """Outputs on one whole level.

        Args:
            feature: ``[B, C, H, W]``, the pyramid level.
            clicks: ``[B, 1, H, W]`` binary click map, or None for no clicks.
            level: 0–3 for P2–P5.
        """
        x = self.embed(feature, clicks, level)
        class_features, box_features = self.class_tower(x), self.box_tower(x)
        return LevelOutput(
            logits=self.class_logits(class_features),
            distances=(self.box_distances(box_features) * self.scales[level]).relu(),
            centerness=self.centerness(box_features),
            features=box_features,
        )

    def first_layers(self, feature: Tensor, padding: int = 1) -> Tensor:
        """What the first convolutions of both towers make of a level without clicks, which only add to it.

        Args:
            feature: ``[B, C, H, W]``, a pyramid level, or windows of it that hold zeros outside the image.
            padding: 1 for whole maps, 0 for windows, which lose a cell on each side.

        Returns:
            ``[B, 2 C', H, W]``, the class tower's before the box tower's, not normalised yet.
        """
        convs = [tower.units[0].conv for tower in (self.class_tower, self.box_tower)]
        weight = torch.cat([conv.weight[:, : feature.shape[1]] for conv in convs])
        # there once BatchNorm is folded
        biases = [conv.bias for conv in convs if conv.bias is not None]
        return nn.functional.conv2d(feature, weight, torch.cat(biases) if biases else None, padding=padding)

    def click_layers(self, clicks: Tensor, inside: Tensor, level: int) -> Tensor:
        """What clicks add to :meth:`first_layers`, on windows.

        Args:
            clicks: ``[N, 1, S + 2, S + 2]`` click maps, one cell wider on each side.
            inside: ``[N, 1, S, S]``, 1 in the image.
            level: 0–3 for P2–P5.

        Returns:
            ``[N, 2 C', S - 2, S - 2]``.
        """
        return self._embedding_layers(nn.functional.conv2d(clicks, self.click_convs[level].weight) * inside)

    def lone_click_layers(self, inside: Tensor, levels: Tensor) -> Tensor:
        """The same of windows whose only click is in the middle, of all levels at once.

        Args:
            inside: ``[N, 1, S, S]``, 1 in the image; S is odd.
            levels: long ``[N]``, 0–3 for P2–P5.

        Returns:
            ``[N, 2 C', S - 2, S - 2]``.
        """
        # what a convolution makes of a single 1 is its kernel, turned by half
        embedded = torch.stack([conv.weight[:, 0].flip(1, 2) for conv in self.click_convs])[levels]
        beside = (inside.shape[-1] - embedded.shape[-1]) // 2
        return self._embedding_layers(nn.functional.pad(embedded, [beside] * 4) * inside)

    def _embedding_layers(self, embedding: Tensor) -> Tensor:
        towers = (self.class_tower, self.box_tower)
        last = self.config.click_channels
        weight = torch.cat([tower.units[0].conv.weight[:, -last:] for tower in towers])
        return nn.functional.conv2d(embedding, weight)

    def on_windows(self, first: Tensor, inside: Tensor | None, levels: Tensor) -> LevelOutput:
        """What :meth:`forward` gives, on windows: exact, since every layer is local (BatchNorm at inference).

        Args:
            first: ``[N, 2 C', S, S]``, what the towers' first convolutions give, of any levels.
            inside: ``[N, 1, S, S]``, 1 in the image; None where all of them lie in it.
            levels: long ``[N]``, 0–3 for P2–P5.

        Returns:
            ``features`` of size ``S - 2 · (depth - 1)``; all else is as many cells smaller on each side as a
            kernel reads around its location.
        """
        class_first, box_first = first.chunk(2, 1)
        spare = self.kernel_reach - 1  # cells that only the kernels read
        class_features = self.class_tower.from_first(shrink(class_first, spare), shrink_inside(inside, spare))
        box_features = self.box_tower.from_first(box_first, inside)
        read = shrink(box_features, spare)
        conv = nn.functional.conv2d
        # what reads the same is one convolution
        both = [*self.box_distances.parameters()], [*self.centerness.parameters()]
        weight, bias = (torch.cat(own) for own in zip(*both, strict=True))
        distances, centerness = conv(read, weight, bias).split([4, 1], 1)
        return LevelOutput(
            logits=conv(class_features, self.class_logits.weight, self.class_logits.bias),
            distances=(distances * self.scales[levels].view(-1, 1, 1, 1)).relu(),
            centerness=centerness,
            features=box_features,
        )

    def kernels_from_patches(self, patches: Tensor, inside: Tensor) -> Tensor:
        """Mask kernels of single locations.

        Args:
            patches: ``[N, C, S, S]`` box-tower features (and coordinates), ``S = 2 · kernel_reach + 1``.
            inside: ``[N, 1, S, S]``, 1 in the image.

        Returns:
            ``[N, 169]``.
        """
        x = self.kernel_tower.on_windows(patches, inside)
        return nn.functional.conv2d(x, self.kernels.weight, self.kernels.bias).flatten(1)

    def dense_kernels(self, features: Tensor) -> Tensor:
        """Mask kernels of every location, ``[B, 169, H, W]``, from box-tower features (and coordinates)."""
        return self.kernels(self.kernel_tower(features))

    def with_coordinates(self, features: Tensor) -> Tensor:
        """Append column and row (−1 to 1) to ``[B, C, H, W]`` where the configuration says so."""
        if not self.config.kernel_coordinates:
            return features
        batch, _, height, width = features.shape
        rows = torch.linspace(-1, 1, height, device=features.device, dtype=features.dtype)
        columns = torch.linspace(-1, 1, width, device=features.device, dtype=features.dtype)
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        grid = torch.stack([x, y]).expand(batch, -1, -1, -1)  # [B, 2, H, W]
        return torch.cat([features, grid], 1)


def _initialise(conv: nn.Conv2d, bias: float) -> None:
    """Weights from N(0, 0.01), as FCOS has them, and one value for all biases."""
    nn.init.normal_(conv.weight, std=0.01)
    if conv.bias is not None:
        nn.init.constant_(conv.bias, bias)
