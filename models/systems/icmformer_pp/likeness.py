"""The exemplar-informed module: where a photo looks like the exemplar.

Source: iCMFormer++, section 3.3, equations 4 and 5.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones import build_backbone
from models.backbones.compact import conv_norm
from models.roi_align import roi_align
from models.systems.icmformer_pp.config import IcmformerPPConfig

STRIDE = 16  # pixels, of the features that are compared


class LikenessModule(nn.Module):
    """Features of the photo and of the exemplar in one space, compared, as a guide for the queries."""

    def __init__(self, config: IcmformerPPConfig) -> None:
        super().__init__()
        self.config = config
        self.body = build_backbone(config.likeness_backbone, config.likeness_settings)
        inputs, channels = sum(self.body.channels[-2:]), config.likeness_channels
        self.project = nn.Sequential(
            conv_norm(inputs, channels, kernel=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
        )
        self.guide = nn.Sequential(
            nn.Conv2d(1, config.width, 1), nn.GELU(), nn.Conv2d(config.width, config.width, 1)
        )

    def features(self, pixels: Tensor) -> Tensor:
        """Normalised pixels ``[B, 3, H, W]`` in the shared space: ``[B, C, H / 16, W / 16]``."""
        fine, coarse = self.body(pixels)[-2:]
        grown = F.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=False)
        return self.project(torch.cat([fine, grown], 1))

    def kernels(self, pixels: Tensor, mask: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """What an exemplar looks like: one kernel for each cell of its patches.

        Args:
            pixels: ``[B, 3, H, W]``, normalised.
            mask: ``[B, 1, H, W]`` of the exemplars, 0–1.
            boxes: ``[B, 4]``, (x0, y0, x1, y1) pixels, around them.

        Returns:
            Kernels ``[B, K, C]`` and which of them count, bool ``[B, K]``: those on the mask, if the
            configuration says so; of a mask too thin for that, all.
        """
        patches, covers = [], []
        for scale in self.config.scales:
            regions = grown_boxes(boxes, scale, pixels.shape[-2], pixels.shape[-1])
            side = self.config.patch_side
            for index in range(len(pixels)):
                region = regions[index : index + 1]
                patches.append(roi_align(pixels[index], region, 1.0, side, sampling=1))
                covers.append(
                    roi_align(mask[index].to(pixels.dtype), region, 1.0, side // STRIDE, sampling=4)
                )
        found = self.features(torch.cat(patches))  # [scales · B, C, k, k]
        count = len(self.config.scales)
        kernels = found.flatten(2).unflatten(0, (count, -1))  # [scales, B, C, k²]
        kernels = kernels.permute(1, 0, 3, 2).flatten(1, 2)  # [B, K, C]
        if not self.config.masked_kernels:
            return kernels, torch.ones(kernels.shape[:2], dtype=torch.bool, device=kernels.device)
        cover = torch.cat(covers).flatten(1).unflatten(0, (count, -1)).transpose(0, 1).flatten(1)  # [B, K]
        counted = cover >= 0.5
        thin = ~counted.any(1, keepdim=True)
        return kernels, counted | thin

    def forward(self, features: Tensor, kernels: Tensor, counted: Tensor) -> Tensor:
        """The response activation of a photo, ``[B, 1, h, w]``; 0 where no kernel counts."""
        return activation(responses(features, kernels), counted)

    def guided(self, response: Tensor, grid: tuple[int, int]) -> Tensor:
        """A response ``[B, 1, h, w]`` as queries for tokens: ``[B, N, C]``."""
        sized = F.interpolate(response, size=grid, mode="bilinear", align_corners=False)
        return self.guide(sized).flatten(2).transpose(1, 2)


def responses(features: Tensor, kernels: Tensor) -> Tensor:
    """Convolve features with an exemplar's own features as kernels, and normalise each response (equation 4).

    Args:
        features: ``[B, C, h, w]``.
        kernels: ``[B, K, C]``, 1×1 each.

    Returns:
        ``[B, K, h, w]``, of zero mean and unit variance over each photo, so that the exemplar's own place
        does not outshine all others.
    """
    raw = torch.einsum("bchw,bkc->bkhw", features.float(), kernels.float())
    return F.instance_norm(raw)


def activation(response: Tensor, counted: Tensor) -> Tensor:
    """The strongest response over the exemplar's cells (equation 5).

    Args:
        response: ``[B, K, h, w]``.
        counted: bool ``[B, K]``.

    Returns:
        ``[B, 1, h, w]``; 0 where no kernel counts.
    """
    strongest = response.masked_fill(~counted[..., None, None], -torch.inf).amax(1, keepdim=True)
    return torch.where(counted.any(1).view(-1, 1, 1, 1), strongest, 0.0)


def grown_boxes(boxes: Tensor, scale: float, height: int, width: int) -> Tensor:
    """Boxes ``[B, 4]`` grown around their centres, and cut at the photo's border."""
    center, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * scale
    limit = boxes.new_tensor([width, height])
    low, high = (center - half).clamp(min=0), torch.minimum(center + half, limit)
    return torch.cat([low, torch.maximum(high, low + 1)], 1)
