"""Configuration of 1C-DSN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from transformers import PretrainedConfig


class OneClickConfig(PretrainedConfig):
    """Shape of a 1C-DSN.

    The defaults are the compact network that is bundled. The published one follows Entity Segmentation:
    pyramid and head of 256 channels, four convolutions a tower, three in the kernel head, GroupNorm, a mask
    branch of 128 with BatchNorm.

    Args:
        backbone: ``compact``, a published one (``resnet-101``, ``mit-b3``, ``swin-l`` …; see
            :mod:`models.backbones.published`) or a transformers model type (resnet, swin, convnext,
            segformer).
        backbone_settings: Arguments of that backbone's own configuration.
        pyramid_channels: Channels of P2–P5.
        click_embedding: Whether click maps join the pyramid; off gives the paper's click-free baseline.
        click_channels: Channels that a click map is projected to (paper, section 5.1: 32).
        click_in_masks: Whether the mask branch sees the click maps too.
        head_channels: Channels of the classification and box towers.
        head_depth: Convolutions in each tower.
        kernel_channels: Channels of the kernel head.
        kernel_depth: Convolutions in the kernel head before the one that puts out the kernels.
        kernel_coordinates: Whether the kernel head sees the location's place in the image.
        mask_channels: Channels of the mask branch.
        mask_depth: Convolutions of the mask branch after its levels are added.
        norm: Of the towers: ``batch`` (local at inference, so a click recomputes windows only) or ``group``.
        mask_norm: Of the mask branch; the towers' when None (Entity Segmentation has ``batch`` here).
        kernel_bank: Whether training also mixes in static kernels (Entity Segmentation's kernel bank).
        freeze_backbone_norm: Whether the backbone's BatchNorm keeps its statistics and weights, as detectors
            with few pictures per GPU have it.
        image_mean: Subtracted from RGB in 0–255.
        image_std: Divides RGB after that.
    """

    model_type = "declutter-one-click"

    def __init__(
        self,
        backbone: str = "compact",
        backbone_settings: Mapping[str, Any] | None = None,
        pyramid_channels: int = 64,
        click_embedding: bool = True,
        click_channels: int = 32,
        click_in_masks: bool = False,
        head_channels: int = 48,
        head_depth: int = 2,
        kernel_channels: int = 96,
        kernel_depth: int = 1,
        kernel_coordinates: bool = False,
        mask_channels: int = 64,
        mask_depth: int = 2,
        norm: Literal["batch", "group"] = "batch",
        mask_norm: Literal["batch", "group"] | None = None,
        kernel_bank: bool = False,
        freeze_backbone_norm: bool = False,
        image_mean: Sequence[float] = (123.675, 116.28, 103.53),
        image_std: Sequence[float] = (58.395, 57.12, 57.375),
        **kwargs: Any,
    ) -> None:
        self.backbone = backbone
        self.backbone_settings = dict(backbone_settings or {})
        self.pyramid_channels = pyramid_channels
        self.click_embedding = click_embedding
        self.click_channels = click_channels
        self.click_in_masks = click_in_masks
        self.head_channels = head_channels
        self.head_depth = head_depth
        self.kernel_channels = kernel_channels
        self.kernel_depth = kernel_depth
        self.kernel_coordinates = kernel_coordinates
        self.mask_channels = mask_channels
        self.mask_depth = mask_depth
        self.norm = norm
        self.mask_norm = mask_norm
        self.kernel_bank = kernel_bank
        self.freeze_backbone_norm = freeze_backbone_norm
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        super().__init__(**kwargs)

    @property
    def heads_are_local(self) -> bool:
        """Whether a click changes only cells around it at inference, so that windows give it exactly.

        GroupNorm mixes the whole map; the windows know no coordinates, and leave the mask branch as it is.
        """
        in_masks = self.click_embedding and self.click_in_masks
        return self.norm == "batch" and not self.kernel_coordinates and not in_masks
