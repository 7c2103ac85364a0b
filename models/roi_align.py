"""RoI-Align by bilinear sampling, without torchvision."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def roi_align(feature: Tensor, boxes: Tensor, stride: float, size: int, sampling: int = 2) -> Tensor:
    """Average bilinear samples of each box's bins.

    Args:
        feature: ``[C, H, W]`` of one image; cell (i, j)'s centre lies at pixel ((j + 0.5), (i + 0.5)) ·
            stride.
        boxes: ``[N, 4]`` (x1, y1, x2, y2) in pixels; parts outside the map repeat its border.
        stride: Pixels per cell.
        size: Bins per side.
        sampling: Samples per bin and side.

    Returns:
        ``[N, C, size, size]``.

    Source: He et al., "Mask R-CNN" (2017), section 3 (with the half-pixel offset of later versions).
    """
    channels, height, width = feature.shape
    n, points = len(boxes), size * sampling
    steps = (torch.arange(points, device=feature.device, dtype=boxes.dtype) + 0.5) / points  # [P]
    x = boxes[:, :1] + (boxes[:, 2:3] - boxes[:, :1]) * steps  # [N, P] pixels
    y = boxes[:, 1:2] + (boxes[:, 3:4] - boxes[:, 1:2]) * steps
    # align_corners=False: -1 and 1 are the outer edges of the first and last cells
    grid_x = (2 * x / (stride * width) - 1)[:, None, :].expand(n, points, points)
    grid_y = (2 * y / (stride * height) - 1)[:, :, None].expand(n, points, points)
    grid = torch.stack([grid_x, grid_y], 3).reshape(1, n * points, points, 2).to(feature.dtype)
    sampled = F.grid_sample(feature[None], grid, mode="bilinear", padding_mode="border", align_corners=False)
    sampled = sampled.view(channels, n, size, sampling, size, sampling).mean((3, 5))  # [C, N, size, size]
    return sampled.transpose(0, 1)


def square_boxes(boxes: Tensor) -> Tensor:
    """Grow boxes ``[N, 4]`` to squares around their centres, by their larger side."""
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).amax(1, keepdim=True) / 2
    return torch.cat([center - half, center + half], 1)


def boxes_of_masks(masks: Tensor) -> Tensor:
    """Boxes ``[N, 4]`` (x1, y1, x2, y2; exclusive ends) of masks ``[N, H, W]``; empty masks give zeros."""
    boxes = torch.zeros(len(masks), 4, device=masks.device)
    for index, mask in enumerate(masks > 0):
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        if len(rows):
            sides = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
            boxes[index] = torch.cat([side.float() for side in sides])
    return boxes
