"""Configuration of PVM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import PretrainedConfig


class VerificationConfig(PretrainedConfig):
    """Shape of a PVM. The defaults are the compact form; the paper's has 224 px crops and a ResNet-18.

    Args:
        feature_channels: Channels of the frozen pyramid (P2 is read).
        stage_channels: Of C3 and C4, the frozen backbone's own maps, where they are read beside P2; none by
            default, as in the paper.
        crop: Side of the image patch, pixels (paper: 224).
        backbone: ``compact`` or ``resnet``.
        backbone_settings: Arguments of that backbone's own configuration.
        grid: Side of the RoI-Align of P2 and of the mask, which join the patch's features.
        hidden: Channels of the layers after the concatenation.
        embedding: Length of the embedding.
        use_scale: Whether the box size over 224 joins the embedding layers (Table 5, "scale").
        use_square: Whether boxes grow to squares, which keeps the aspect ratio (Table 5, "square").
        use_mask: Whether the mask joins (Table 5, "mask").
        image_mean: Subtracted from RGB in 0–255.
        image_std: Divides RGB after that.
    """

    model_type = "declutter-pvm"

    def __init__(
        self,
        feature_channels: int = 64,
        crop: int = 64,
        backbone: str = "compact",
        backbone_settings: Mapping[str, Any] | None = None,
        grid: int = 8,
        hidden: int = 96,
        embedding: int = 64,
        use_scale: bool = True,
        use_square: bool = True,
        use_mask: bool = True,
        image_mean: Sequence[float] = (123.675, 116.28, 103.53),
        image_std: Sequence[float] = (58.395, 57.12, 57.375),
        stage_channels: Sequence[int] = (),
        **kwargs: Any,
    ) -> None:
        self.feature_channels = feature_channels
        self.stage_channels = list(stage_channels)
        self.crop = crop
        self.backbone = backbone
        if backbone_settings is None and backbone == "compact":
            backbone_settings = {"stem": 16, "widths": [32, 64, 96, 128], "depths": [1, 1, 1, 1]}
        self.backbone_settings = dict(backbone_settings or {})
        self.grid = grid
        self.hidden = hidden
        self.embedding = embedding
        self.use_scale = use_scale
        self.use_square = use_square
        self.use_mask = use_mask
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        super().__init__(**kwargs)
