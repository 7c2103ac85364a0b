"""Target crops in training: what the network sees from the second click on."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from models.roi_align import roi_align
from models.systems.clicking.crops import LEAST_SIDE, zoomed_crop
from models.systems.clicking.guidance import POSITIVE
from models.systems.clicking.samples import ClickBatch
from toolkit.clicks import Click
from toolkit.masks import mask_box

# In use a target crop has at least 200 px a side; a training picture stands for a photo of so many pixels.
PHOTO_SIDE = 600


def cut(values: Tensor, boxes: Tensor, size: int) -> Tensor:
    """One box (x1, y1, x2, y2) of each picture, ``[B, C, H, W]`` to ``[B, C, size, size]``."""
    parts = [roi_align(one, box[None], 1, size, sampling=1) for one, box in zip(values, boxes, strict=True)]
    return torch.cat(parts)


def target_crops(selected: Tensor, points: Tensor) -> Tensor:
    """Where each picture's next click looks: around its mask and its positive points, as in use.

    Args:
        selected: bool ``[B, 1, S, S]``, the masks after the clicks before.
        points: ``[B, P, 3]``, the new one among them.

    Returns:
        ``[B, 4]`` (x1, y1, x2, y2); the whole picture without a mask.
    """
    side = selected.shape[-1]
    least = round(side * LEAST_SIDE / PHOTO_SIDE)
    boxes = []
    for mask, own in zip(selected[:, 0].cpu().numpy(), points.tolist(), strict=True):
        clicks = [Click(x, y) for x, y, kind in own if kind == POSITIVE]
        crop = zoomed_crop(mask_box(mask) if mask.any() else None, clicks, side, side, least=least)
        boxes.append((crop.left, crop.top, crop.left + crop.width, crop.top + crop.height))
    return torch.tensor(boxes, dtype=torch.float32, device=selected.device)


def zoomed(batch: ClickBatch, boxes: Tensor) -> ClickBatch:
    """The boxes of a batch's pictures as pictures of the same size; points move along.

    Args:
        batch: Pictures of S × S pixels.
        boxes: ``[B, 4]`` (x1, y1, x2, y2), pixels.
    """
    side = batch.image.shape[-1]
    return replace(
        batch,
        image=cut(batch.image.float(), boxes, side).round().clamp(0, 255).to(torch.uint8),
        target=(cut(batch.target, boxes, side) > 0.5).float(),
        points=points_in(batch.points, boxes, side),
    )


def points_in(points: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Points ``[B, P, 3]`` of a picture in pixels of its box, ``[B, 4]``, when that has ``side`` pixels."""
    inside = points.clone()
    inside[..., :2] = (points[..., :2] - boxes[:, None, :2]) * (side / (boxes[:, 2:] - boxes[:, :2]))[:, None]
    return inside
