"""Configuration of the mask refiner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import PretrainedConfig


class RefinerConfig(PretrainedConfig):
    """Shape of a mask refiner.

    Args:
        crop: Side of the square crop that it sees, pixels; a multiple of 16.
        context: Side of the crop over the larger side of the mask's box.
        backbone: ``compact``, or another that takes maps after its first convolution.
        backbone_settings: Arguments of that backbone's own configuration.
        channels: Of the decoder at strides 4 to 32.
        fine_channels: Of the decoder at stride 2.
        image_mean: Subtracted from RGB in 0–255.
        image_std: Divides RGB after that.
    """

    model_type = "declutter-refiner"

    def __init__(
        self,
        crop: int = 112,
        context: float = 1.75,
        backbone: str = "compact",
        backbone_settings: Mapping[str, Any] | None = None,
        channels: int = 64,
        fine_channels: int = 32,
        image_mean: Sequence[float] = (123.675, 116.28, 103.53),
        image_std: Sequence[float] = (58.395, 57.12, 57.375),
        **kwargs: Any,
    ) -> None:
        self.crop = crop
        self.context = context
        self.backbone = backbone
        self.backbone_settings = dict(backbone_settings or {})
        self.channels = channels
        self.fine_channels = fine_channels
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        super().__init__(**kwargs)
