"""The 1C-DSN network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from models.backbones import build_backbone
from models.one_click.config import OneClickConfig
from models.one_click.dynamic_masks import MaskBranch
from models.one_click.heads import LevelOutput, OneClickHeads
from models.pixels import normalised
from models.pyramid import STRIDES, FeaturePyramid


@dataclass(frozen=True)
class OneClickOutput:
    """What one full pass gives.

    Attributes:
        pyramid: P2–P5, ``[B, C, H / stride, W / stride]``.
        levels: Head outputs of each level.
        mask_features: ``[B, 8, H / 4, W / 4]``.
    """

    pyramid: list[Tensor]
    levels: list[LevelOutput]
    mask_features: Tensor


class OneClickModel(PreTrainedModel):
    """Backbone, pyramid, click-embedded heads and mask branch.

    Source: SimpSON (CVPR 2023), section 3.1 and figure 2.
    """

    config_class = OneClickConfig
    base_model_prefix = "one_click"
    main_input_name = "image"

    def __init__(self, config: OneClickConfig) -> None:
        super().__init__(config)
        self.backbone = build_backbone(config.backbone, config.backbone_settings)
        self.fpn = FeaturePyramid(self.backbone.channels, config.pyramid_channels)
        self.heads = OneClickHeads(config)
        self.mask_branch = MaskBranch(config)
        if config.freeze_backbone_norm:
            for norm in self._backbone_norms():
                norm.requires_grad_(False)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Keep what the modules' own constructors drew."""

    def _backbone_norms(self) -> list[nn.Module]:
        return [module for module in self.backbone.modules() if isinstance(module, nn.BatchNorm2d)]

    def train(self, mode: bool = True) -> OneClickModel:
        """Training mode, but for norms that are frozen."""
        super().train(mode)
        if self.config.freeze_backbone_norm:
            for norm in self._backbone_norms():
                norm.eval()
        return self

    def normalise(self, image: Tensor) -> Tensor:
        """``[B, 3, H, W]`` RGB 0–255, any dtype, to zero mean and unit variance in float."""
        return normalised(image, self.config.image_mean, self.config.image_std, self.heads.scales.dtype)

    def encode(self, image: Tensor) -> list[Tensor]:
        """P2–P5 of ``[B, 3, H, W]`` RGB 0–255; H and W divisible by 32."""
        return self.encode_with_stages(image)[0]

    def encode_with_stages(self, image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The same, and C3 and C4, the backbone's own maps at strides 8 and 16."""
        maps = self.backbone(self.normalise(image))
        return self.fpn(maps), list(maps[1:3])

    @property
    def stage_channels(self) -> list[int]:
        """Of C3 and C4."""
        return list(self.backbone.channels[1:3])

    def mask_features(self, pyramid: Sequence[Tensor], click_maps: Sequence[Tensor] | None = None) -> Tensor:
        """``[B, 8, H / 4, W / 4]``; the clicks matter only with ``click_in_masks``."""
        if self.config.click_in_masks:
            pyramid = [
                self.heads.embed(feature, None if click_maps is None else click_maps[level], level)
                for level, feature in enumerate(pyramid)
            ]
        return self.mask_branch(pyramid)

    def forward(self, image: Tensor, click_maps: Sequence[Tensor] | None = None) -> OneClickOutput:
        """One full pass; the outputs after the pyramid have a batch of K · B.

        Args:
            image: ``[B, 3, H, W]`` RGB 0–255.
            click_maps: Binary maps ``[K · B, 1, H / stride, W / stride]`` of the four levels, K of each image
                (those of all images, then again of all images …), or None.
        """
        pyramid = self.encode(image)
        times = 1 if click_maps is None else len(click_maps[0]) // len(image)
        repeated = pyramid if times == 1 else [feature.repeat(times, 1, 1, 1) for feature in pyramid]
        levels = [
            self.heads(feature, None if click_maps is None else click_maps[level], level)
            for level, feature in enumerate(repeated)
        ]
        if self.config.click_in_masks:
            return OneClickOutput(pyramid, levels, self.mask_features(repeated, click_maps))
        return OneClickOutput(pyramid, levels, self.mask_features(pyramid).repeat(times, 1, 1, 1))


def click_maps_of(clicks: Sequence[Sequence[tuple[float, float]]], height: int, width: int) -> list[Tensor]:
    """Binary click maps of a batch: one cell per click and level.

    Args:
        clicks: For each image, (x, y) in pixels of the network's input.
        height: Of the input, pixels.
        width: Of the input, pixels.

    Returns:
        Four float maps ``[B, 1, H / stride, W / stride]``.

    Source: SimpSON, section 3.1 (the binary map I^c_i).
    """
    maps = []
    for stride in STRIDES:
        rows, columns = -(-height // stride), -(-width // stride)
        level = torch.zeros(len(clicks), 1, rows, columns)
        for index, points in enumerate(clicks):
            for x, y in points:
                row = min(max(int(y // stride), 0), rows - 1)
                column = min(max(int(x // stride), 0), columns - 1)
                level[index, 0, row, column] = 1
        maps.append(level)
    return maps
