"""The segmentor and the refiner of FocalClick."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones import build_backbone
from models.backbones.compact import conv_norm
from models.backbones.widening import widen_input
from models.roi_align import roi_align
from models.systems.clicking.decoding import MlpDecoder, SumDecoder
from models.systems.clicking.definition import Work, blank_click
from models.systems.clicking.network import ClickNetwork
from models.systems.focalclick.config import FocalConfig
from models.systems.ritm.ocr import OcrHead

FEATURE_STRIDE = 4


@dataclass(frozen=True)
class FocalOutput:
    """What one pass over a target crop gives.

    Attributes:
        logits: ``[B, 1, H, W]``, the coarse mask's.
        features: ``[B, C, H / 4, W / 4]``, for the refiner.
        auxiliary: ``[B, 1, H, W]`` of an HRNet's object region; None elsewhere.
    """

    logits: Tensor
    features: Tensor
    auxiliary: Tensor | None


@dataclass(frozen=True)
class RefinedOutput:
    """What the refiner gives, at the size of its input.

    Attributes:
        logits: ``[B, 1, h, w]``, the detail where the border map is high, the coarse mask elsewhere.
        border: ``[B, 1, h, w]``, logits of the border map.
    """

    logits: Tensor
    border: Tensor


def separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A depthwise 3×3 and a pointwise 1×1 convolution, as in Xception."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        *conv_norm(inputs, outputs, kernel=1),
        nn.ReLU(),
    )


class Refiner(nn.Module):
    """Re-segments a focus crop from its pixels, the clicks, and what the segmentor knows of it.

    Source: FocalClick (Chen et al., CVPR 2022), section 3.2 and figure 4.
    """

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.pixels = nn.Sequential(
            conv_norm(6, half, stride=2),
            nn.ReLU(),
            separable(half, channels, 2),
            separable(channels, channels),
        )
        self.known = nn.Sequential(conv_norm(features, channels, kernel=1), nn.ReLU())
        self.mix = nn.Sequential(separable(channels, channels), separable(channels, channels))
        self.outputs = nn.Conv2d(channels, 2, 1)

    def forward(self, pixels: Tensor, clicks: Tensor, features: Tensor, coarse: Tensor) -> RefinedOutput:
        """Refine.

        Args:
            pixels: Normalised, ``[B, 3, h, w]``.
            clicks: ``[B, 2, h, w]``.
            features: ``[B, C, h / 4, w / 4]``, the segmentor's in this crop.
            coarse: ``[B, 1, h, w]``, its logits there.
        """
        seen = torch.cat([pixels, clicks, coarse.sigmoid()], dim=1)  # [B, 6, h, w]
        mixed = self.mix(self.pixels(seen) + self.known(features))
        both = F.interpolate(self.outputs(mixed), coarse.shape[-2:], mode="bilinear", align_corners=False)
        detail, border = both[:, :1], both[:, 1:]
        share = border.sigmoid()
        return RefinedOutput(share * detail + (1 - share) * coarse, border)


class FocalNetwork(ClickNetwork):
    """A segmentor that sees clicks and the last mask beside the pixels, and a refiner."""

    config_class = FocalConfig
    config: FocalConfig

    def __init__(self, config: FocalConfig) -> None:
        super().__init__(config)
        self.backbone = build_backbone(config.backbone, config.backbone_settings)
        widen_input(self.backbone, 3)
        channels, features = config.head_channels, config.head_channels
        self.head: nn.Module
        if config.backbone.startswith("hrnet"):
            self.head, features = OcrHead(self.backbone.channels, channels), 2 * channels
        elif config.backbone.startswith("mit"):
            self.head = MlpDecoder(self.backbone.channels, channels)
        else:
            self.head = SumDecoder(self.backbone.channels, channels)
        self.refiner = Refiner(features, config.refiner_channels)
        self.post_init()

    def forward(self, image: Tensor, points: Tensor, previous: Tensor) -> FocalOutput:
        """The coarse mask; see :class:`models.systems.clicking.network.ClickNetwork`."""
        size = image.shape[-2:]
        maps = torch.cat([self.guidance(points, *size), previous.to(self.dtype)], dim=1)  # [B, 3, H, W]
        levels = self.backbone(torch.cat([self.normalise(image), maps], dim=1))
        features, logits, region = self.head(levels)
        grown = [
            None if x is None else F.interpolate(x, size, mode="bilinear", align_corners=False)
            for x in (logits, region)
        ]
        return FocalOutput(grown[0], features, grown[1])  # type: ignore[arg-type]  # the first is there

    def refine(self, pixels: Tensor, points: Tensor, coarse: FocalOutput, boxes: Tensor) -> RefinedOutput:
        """Refine one focus crop of each picture.

        Args:
            pixels: ``[B, 3, h, w]`` RGB 0–255, the focus crop at its own resolution.
            points: ``[B, P, 3]`` in its pixels.
            coarse: What :meth:`forward` gave for the target crop.
            boxes: ``[B, 4]`` (x1, y1, x2, y2), the focus crop in pixels of the segmentor's input.
        """
        size = pixels.shape[-1]
        features = torch.cat(
            [
                roi_align(feature, box[None], FEATURE_STRIDE, size // FEATURE_STRIDE, sampling=1)
                for feature, box in zip(coarse.features, boxes, strict=True)
            ]
        )
        logits = torch.cat(
            [
                roi_align(one, box[None], 1, size, sampling=1)
                for one, box in zip(coarse.logits, boxes, strict=True)
            ]
        )
        clicks = self.guidance(points, *pixels.shape[-2:])
        return self.refiner(self.normalise(pixels), clicks, features, logits)


def focal_works(network: FocalNetwork) -> list[Work]:
    """A whole click, and the refiner alone."""
    side, focus = network.config.input_size, network.config.focus_size
    image, points, previous = blank_click(side)
    pixels = torch.zeros(1, 3, focus, focus)
    box = torch.zeros(1, 4)
    features = torch.zeros(1, network.refiner.known[0][0].in_channels, side // 4, side // 4)  # type: ignore[index, union-attr]
    known = FocalOutput(torch.zeros(1, 1, side, side), features, None)
    return [
        Work(
            f"one click, target crop {side} px, focus crop {focus} px",
            lambda: network.refine(pixels, points, network(image, points, previous), box),
        ),
        Work("the refiner alone", lambda: network.refine(pixels, points, known, box)),
    ]
