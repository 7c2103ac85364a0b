"""Configuration of FocalClick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.systems.clicking.config import ClickConfig


class FocalConfig(ClickConfig):
    """Shape of a FocalClick network; the defaults are the compact one.

    Args:
        backbone: ``compact``, an HRNet, ``mit-b0``, ``mit-b3`` or any other of :mod:`models.backbones`.
        backbone_settings: Arguments of that backbone.
        head_channels: Of the decoder's features (HRNet with OCR: half of them).
        refiner_channels: Of the refiner.
        input_size: Side of the target crop as the segmentor sees it, pixels (paper: S1 128, S2 256).
        focus_size: Side of the focus crop as the refiner sees it, pixels (paper: 256).
        merge_after: Clicks after which a click may change only the piece of the mask that it lies on. The
            paper merges progressively when a mask was there before, or after 10 clicks (section 3.3).
    """

    model_type = "declutter-focalclick"

    def __init__(
        self,
        backbone: str = "compact",
        backbone_settings: Mapping[str, Any] | None = None,
        head_channels: int = 64,
        refiner_channels: int = 32,
        input_size: int = 192,
        focus_size: int = 192,
        merge_after: int = 10,
        square: bool = True,
        **kwargs: Any,
    ) -> None:
        self.backbone = backbone
        self.backbone_settings = dict(backbone_settings or {})
        self.head_channels = head_channels
        self.refiner_channels = refiner_channels
        self.focus_size = focus_size
        self.merge_after = merge_after
        super().__init__(input_size=input_size, square=square, **kwargs)
