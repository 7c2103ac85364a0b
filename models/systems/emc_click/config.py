"""Configuration of EMC-Click."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.systems.clicking.config import ClickConfig
from toolkit.errors import InputError


class EmcClickConfig(ClickConfig):
    """Shape of an EMC-Click network; the defaults are the compact one.

    Args:
        backbone: Of the base network: ``compact``, ``mit-b0``, ``mit-b3``, ``hrnet-18s`` …; see
            :func:`models.backbones.build_backbone`. An HRNet gets the OCR head, others SegFormer's.
        backbone_settings: Arguments of that backbone's own configuration.
        decoder_channels: Of the base network's features F_t (SegFormer-B0: 256, B3: 512; HRNet: twice OCR's
            width).
        decoder_dropout: Of whole channels of F_t (SegFormer: 0.1).
        correction_channels: C of the mask correction network, and templates of each sign (paper: 64 or 96).
        attention_heads: Of the click-guided self-attention.
        first_click: Whether the base network sees the first click (table 4).
        self_attention: Whether there is click-guided self-attention (table 4).
        correlation: Whether there is click-guided correlation (table 4).
        template_selection: Whether cells like the clicked ones are templates too (table 4).
        negative_templates: Whether there are negative templates (table 5).
        mask_threshold: See :class:`ClickConfig`.
        first_size: See :class:`ClickConfig`; 512 is a 4:3 photo with the paper's shorter side of 384.
        zoom_in: Off: later clicks live on the features of the first, so they look at the same pixels.
    """

    model_type = "declutter-emc-click"

    def __init__(
        self,
        backbone: str = "compact",
        backbone_settings: Mapping[str, Any] | None = None,
        decoder_channels: int = 64,
        decoder_dropout: float = 0.0,
        correction_channels: int = 32,
        attention_heads: int = 4,
        first_click: bool = True,
        self_attention: bool = True,
        correlation: bool = True,
        template_selection: bool = True,
        negative_templates: bool = True,
        first_size: int = 512,
        mask_threshold: float = 0.5,
        zoom_in: bool = False,
        **kwargs: Any,
    ) -> None:
        if zoom_in:
            raise InputError("zoom_in: EMC-Click keeps the first click's features; leave it false")
        if correction_channels % attention_heads:
            raise InputError(
                f"correction_channels: expected a multiple of the {attention_heads} attention_heads, "
                f"got {correction_channels}"
            )
        self.backbone = backbone
        self.backbone_settings = dict(backbone_settings or {})
        self.decoder_channels = decoder_channels
        self.decoder_dropout = decoder_dropout
        self.correction_channels = correction_channels
        self.attention_heads = attention_heads
        self.first_click = first_click
        self.self_attention = self_attention
        self.correlation = correlation
        self.template_selection = template_selection
        self.negative_templates = negative_templates
        super().__init__(first_size=first_size, mask_threshold=mask_threshold, zoom_in=zoom_in, **kwargs)
