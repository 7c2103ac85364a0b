"""Which locations of the pyramid learn which object."""

from __future__ import annotations

import torch
from torch import Tensor

from models.pyramid import STRIDES

# Larger side of a box, in pixels, up to which P2, P3 and P4 take it; P5 takes the rest.
LEVEL_LIMITS = (64.0, 128.0, 256.0)
CENTER_RADIUS = 1.5  # strides around the mask's centre of mass (FCOS's centre sampling; Entity Segmentation)


def level_locations(
    shapes: list[tuple[int, int]], device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """All locations of P2–P5 in one list.

    Args:
        shapes: (height, width) of each level's map.
        device: Where the tensors are made.

    Returns:
        ``[L, 2]`` float (x, y) in pixels, index · stride + stride // 2; and ``[L]`` long levels.
    """
    points, levels = [], []
    for level, (height, width) in enumerate(shapes):
        stride = STRIDES[level]
        ys = torch.arange(height, device=device, dtype=torch.float32) * stride + stride // 2
        xs = torch.arange(width, device=device, dtype=torch.float32) * stride + stride // 2
        y, x = torch.meshgrid(ys, xs, indexing="ij")
        points.append(torch.stack([x.flatten(), y.flatten()], 1))
        levels.append(torch.full((height * width,), level, dtype=torch.long, device=device))
    return torch.cat(points), torch.cat(levels)


def level_of_boxes(boxes: Tensor) -> Tensor:
    """Level (0–3) of boxes ``[..., 4]`` (x1, y1, x2, y2) by their larger side."""
    side = torch.maximum(boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1])
    limits = torch.tensor(LEVEL_LIMITS, device=boxes.device, dtype=boxes.dtype)
    return torch.bucketize(side, limits)


def assign_locations(boxes: Tensor, centers: Tensor, points: Tensor, levels: Tensor) -> Tensor:
    """The object that each location learns, −1 for none.

    A location is positive when it lies on the object's level, inside its box, and within 1.5 strides of its
    centre of mass in both directions. Between several objects the one with the smaller box wins.

    Args:
        boxes: ``[..., N, 4]`` pixels.
        centers: ``[..., N, 2]`` centres of mass, pixels.
        points: ``[L, 2]``, from :func:`level_locations`.
        levels: ``[L]``.

    Returns:
        ``[..., L]`` long.
    """
    if boxes.shape[-2] == 0:
        return torch.full((*boxes.shape[:-2], len(points)), -1, dtype=torch.long, device=points.device)
    strides = torch.tensor(STRIDES, device=points.device, dtype=points.dtype)[levels]  # [L]
    x, y = points[:, :1], points[:, 1:]  # [L, 1]
    left, top, right, bottom = boxes[..., None, :, :].unbind(-1)  # [..., 1, N]
    center_x, center_y = centers[..., None, :, :].unbind(-1)
    radius = CENTER_RADIUS * strides[:, None]
    taken = ((x - center_x).abs() < radius) & ((y - center_y).abs() < radius)  # [..., L, N]
    taken &= (x > left) & (x < right) & (y > top) & (y < bottom)
    taken &= level_of_boxes(boxes)[..., None, :] == levels[:, None]
    cost = torch.where(taken, (right - left) * (bottom - top), torch.inf)  # [..., L, N]
    best, index = cost.min(-1)
    return torch.where(best.isinf(), -1, index)
