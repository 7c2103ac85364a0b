"""What reads the backbone's maps in the base segmentation network, which runs on the first click only.

Source: EMC-Click (Du et al., CVPR 2023), sections 3.2 and 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.systems.ritm.ocr import OcrHead


class AllMlpHead(nn.Module):
    """SegFormer's decoder: each map to one width, all to stride 4, fused; the fused map is F_t.

    Source: Xie et al., "SegFormer" (2021), section 3.2.

    Args:
        inputs: Channels of the backbone's maps.
        channels: Of F_t.
        dropout: Of whole channels of F_t.
    """

    def __init__(self, inputs: Sequence[int], channels: int, dropout: float) -> None:
        super().__init__()
        self.embed = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in inputs)
        self.fuse = nn.Sequential(
            nn.Conv2d(channels * len(inputs), channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Dropout2d(dropout),
        )
        self.predict = nn.Conv2d(channels, 1, 1)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor, None]:
        """F_t ``[B, C, H / 4, W / 4]`` and the logits of M_c ``[B, 1, H / 4, W / 4]``; no further output."""
        size = maps[0].shape[2:]
        grown = [
            F.interpolate(embed(feature), size=size, mode="bilinear", align_corners=False)
            for embed, feature in zip(self.embed, maps, strict=True)
        ]
        features = self.fuse(torch.cat(grown, dim=1))
        return features, self.predict(features), None


def build_base_head(
    backbone: str, inputs: Sequence[int], channels: int, dropout: float
) -> AllMlpHead | OcrHead:
    """The head that the paper puts on a backbone: OCR on an HRNet, else the all-MLP decoder.

    Args:
        backbone: Its name.
        inputs: Channels of its maps.
        channels: Of F_t; OCR compares pixels and regions in half as many.
        dropout: See :class:`AllMlpHead`; OCR has its own.
    """
    if backbone.startswith("hrnet"):
        return OcrHead(tuple(inputs), channels // 2)
    return AllMlpHead(inputs, channels, dropout)
