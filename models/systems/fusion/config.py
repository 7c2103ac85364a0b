"""Configuration of multi-stage fusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from models.systems.clicking.config import ClickConfig


class FusionConfig(ClickConfig):
    """Shape of the network; the defaults are the compact one. ``guidance`` is the switch of table 2.

    Args:
        fusion: Rows of table 1: ``baseline`` sees no click, ``early`` sees it as a fourth input channel,
            ``multi`` fuses it again before the head.
        backbone: ``compact``, ``resnet-101`` or another ResNet of :mod:`models.backbones`, or ``vgg-16``;
            brought to stride 8.
        backbone_settings: Arguments of that backbone.
        stream_channels: Of the fusion stream (paper: 256).
        stream_blocks: Of the fusion stream (paper: 3); the last one halves the resolution.
        reduction: Of squeeze and excitation, r (paper: 16).
        pyramid_bins: Grids to which the head pools.
        pyramid_channels: Of each of the pooled maps (see the package's note on the size).
        head_channels: Of the head's output (paper: 512).
        guidance: How the click is drawn; the standard deviation of ``gaussian`` is 10 px (section 3.3).
        click_scale: Factor on the click's map, whose values are 0 to 1; 1 draws it as it is. A photo's
            channel spans 4.4 standard deviations beside it, and a training of minutes on top of weights that
            know photos only hardly finds the click: 4 puts the two on one footing.
        first_size: Longer side, pixels (section 4.2 trains on 512 × 512).
    """

    model_type = "declutter-fusion"

    def __init__(
        self,
        fusion: Literal["baseline", "early", "multi"] = "multi",
        backbone: str = "compact",
        backbone_settings: Mapping[str, Any] | None = None,
        stream_channels: int = 32,
        stream_blocks: int = 3,
        reduction: int = 8,
        pyramid_bins: Sequence[int] = (1, 2, 3, 6),
        pyramid_channels: int = 32,
        head_channels: int = 128,
        guidance: Literal["disk", "gaussian", "euclidean"] = "gaussian",
        click_scale: float = 1.0,
        first_size: int = 512,
        input_size: int = 512,
        zoom_in: bool = False,
        **kwargs: Any,
    ) -> None:
        self.fusion = fusion
        self.backbone = backbone
        self.backbone_settings = dict(backbone_settings or {})
        self.stream_channels = stream_channels
        self.stream_blocks = stream_blocks
        self.reduction = reduction
        self.pyramid_bins = list(pyramid_bins)
        self.pyramid_channels = pyramid_channels
        self.head_channels = head_channels
        self.click_scale = click_scale
        super().__init__(
            guidance=guidance, first_size=first_size, input_size=input_size, zoom_in=zoom_in, **kwargs
        )
