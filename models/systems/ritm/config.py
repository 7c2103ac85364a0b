"""Configuration of RITM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.systems.clicking.config import ClickConfig


class RitmConfig(ClickConfig):
    """Shape of a RITM network; the defaults are the compact one.

    Args:
        backbone: ``compact``, ``hrnet-18s``, ``hrnet-18`` or ``hrnet-32``.
        backbone_settings: Arguments of that backbone; they replace those of the published size.
        click_channels: Of the first of the two convolutions that bring clicks into the backbone.
        click_scale: Learned factor on what clicks add there, at first (released code: 0.05). A short training
            starts better from 1: with 0.05 the clicks are hardly seen for its first hundred steps.
        head_channels: At stride 4, where the levels are put together (HRNet with OCR: of the object regions).
        mask_threshold: See :class:`ClickConfig`; RITM selects from 0.49 on.
    """

    model_type = "declutter-ritm"

    def __init__(
        self,
        backbone: str = "compact",
        backbone_settings: Mapping[str, Any] | None = None,
        click_channels: int = 16,
        click_scale: float = 0.05,
        head_channels: int = 64,
        mask_threshold: float = 0.49,
        **kwargs: Any,
    ) -> None:
        self.backbone = backbone
        self.backbone_settings = dict(backbone_settings or {})
        self.click_channels = click_channels
        self.click_scale = click_scale
        self.head_channels = head_channels
        super().__init__(mask_threshold=mask_threshold, **kwargs)
