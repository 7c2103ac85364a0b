"""Exemplars as the network takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from models.systems.clicking.guidance import ABSENT, NEGATIVE, POSITIVE

PSEUDO = 0.5
"""Kind of a point that is a pseudo negative click; guidance maps leave it out."""


@dataclass(frozen=True)
class ExemplarInput:
    """One exemplar for each picture of a batch, in the picture's pixels.

    Attributes:
        mask: float ``[B, 1, H, W]``, 0 or 1; empty where a picture has none.
        points: float ``[B, P, 3]``: x, y, then 1 positive, 0 true negative, 0.5 pseudo negative, -1 no point.
        boxes: float ``[B, 4]``, (x0, y0, x1, y1) around the mask; zeros of an empty one.
    """

    mask: Tensor
    points: Tensor
    boxes: Tensor

    def to(self, device: torch.device, non_blocking: bool = False) -> ExemplarInput:
        """The same on another device."""
        mask, points, boxes = (
            value.to(device, non_blocking=non_blocking) for value in (self.mask, self.points, self.boxes)
        )
        return ExemplarInput(mask, points, boxes)


@dataclass(frozen=True)
class EncodedExemplar:
    """What the network keeps of an exemplar while clicks come.

    Attributes:
        tokens: ``[B, N, C]``, keys and values of the recall tokens' questions.
        kernels: ``[B, K, C']``, what it looks like; None without the exemplar-informed module.
        counted: bool ``[B, K]``, which kernels count; None without it.
        mask: ``[B, 1, H, W]``: what is known to be no recall object.
    """

    tokens: Tensor
    kernels: Tensor | None
    counted: Tensor | None
    mask: Tensor


def no_exemplar(image: Tensor) -> ExemplarInput:
    """Stands for no exemplar in each picture of ``[B, 3, H, W]``."""
    batch, _, height, width = image.shape
    return ExemplarInput(
        torch.zeros(batch, 1, height, width, device=image.device),
        torch.full((batch, 1, 3), ABSENT, device=image.device),
        torch.zeros(batch, 4, device=image.device),
    )


def chosen_points(
    points: Tensor, positives: Literal["all", "first", "none"], negatives: Literal["true", "all", "none"]
) -> Tensor:
    """The clicks that the exemplar branch sees (tables 6 and 7), in the kinds that guidance maps know.

    Args:
        points: ``[B, P, 3]``, see :class:`ExemplarInput`.
        positives: Which positive ones.
        negatives: Which negative ones; ``true`` leaves pseudo negative ones out.

    Returns:
        ``[B, P, 3]``; what is left out is of kind -1.
    """
    kind = points[..., 2]
    positive, negative, pseudo = kind == POSITIVE, kind == NEGATIVE, kind == PSEUDO
    if positives == "none":
        positive = torch.zeros_like(positive)
    elif positives == "first":
        positive = positive & (positive.cumsum(1) == 1)
    if negatives == "all":
        negative = negative | pseudo
    elif negatives == "none":
        negative = torch.zeros_like(negative)
    absent = torch.full_like(kind, ABSENT)
    seen = torch.where(positive, POSITIVE, torch.where(negative, NEGATIVE, absent))
    return torch.cat([points[..., :2], seen[..., None]], dim=2)


def outside_of(boxes: Tensor, height: int, width: int) -> Tensor:
    """Mark the pixels whose centres lie outside of boxes ``[B, 4]``: bool ``[B, 1, H, W]``."""
    rows = torch.arange(height, device=boxes.device) + 0.5
    columns = torch.arange(width, device=boxes.device) + 0.5
    x0, y0, x1, y1 = (side[:, None] for side in boxes.unbind(1))
    in_rows, in_columns = (rows >= y0) & (rows < y1), (columns >= x0) & (columns < x1)  # [B, H], [B, W]
    return ~(in_rows[:, None, :, None] & in_columns[:, None, None, :])
