"""Training pictures with one object to select."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.data.canvas import Canvas
from models.data.one_click_samples import clickable
from models.systems.clicking.points import PointSampling, sample_points


@dataclass(frozen=True)
class ClickSample:
    """One picture.

    Attributes:
        image: uint8 ``[3, S, S]``.
        mask: bool ``[S, S]``, the object; empty in the rare picture that shows none.
        points: float32 ``[P, 3]``; see :func:`models.systems.clicking.points.sample_points`.
        others: bool ``[N, S, S]``, the other objects of the picture.
        group: Of the object; siblings share one.
        groups: Of the others, N numbers.
    """

    image: np.ndarray
    mask: np.ndarray
    points: np.ndarray
    others: np.ndarray
    group: int
    groups: tuple[int, ...]


@dataclass(frozen=True)
class ClickBatch:
    """What tasks learn from.

    Attributes:
        image: uint8 ``[B, 3, S, S]``.
        target: float32 ``[B, 1, S, S]``, 0 or 1.
        points: float32 ``[B, P, 3]``.
        others: For each picture bool ``[N, S, S]``; empty unless the task asks for them.
        siblings: For each picture bool ``[N]``: which of the others are of the target's group.
    """

    image: Tensor
    target: Tensor
    points: Tensor
    others: list[Tensor]
    siblings: list[Tensor]

    def to(self, device: torch.device, non_blocking: bool = False) -> ClickBatch:
        """The same on another device."""
        image, target, points = (
            value.to(device, non_blocking=non_blocking) for value in (self.image, self.target, self.points)
        )
        others = [value.to(device, non_blocking=non_blocking) for value in self.others]
        siblings = [value.to(device, non_blocking=non_blocking) for value in self.siblings]
        return ClickBatch(image, target, points, others, siblings)


def make_sample(canvas: Canvas, rng: np.random.Generator, sampling: PointSampling) -> ClickSample:
    """Choose an object of a picture, and points on and beside it."""
    candidates = clickable(canvas)
    target = candidates[int(rng.integers(len(candidates)))] if candidates else None
    side = canvas.image.shape[0]
    mask = np.zeros((side, side), bool) if target is None else np.ascontiguousarray(target.mask)
    others = [item for item in canvas.objects if item is not target and item.mask.any()]
    masks = [item.mask & ~mask for item in others]
    return ClickSample(
        image=np.ascontiguousarray(canvas.image.transpose(2, 0, 1)),
        mask=mask,
        points=sample_points(mask, masks, rng, sampling),
        others=np.array(masks, bool).reshape(-1, side, side),
        group=-1 if target is None else target.group,
        groups=tuple(item.group for item in others),
    )


def collate(samples: Sequence[ClickSample], with_others: bool = False) -> ClickBatch:
    """Stack pictures of one size."""
    others = [torch.from_numpy(sample.others) for sample in samples] if with_others else []
    siblings = [torch.tensor([g == s.group for g in s.groups], dtype=torch.bool) for s in samples]
    return ClickBatch(
        image=torch.from_numpy(np.stack([sample.image for sample in samples])),
        target=torch.from_numpy(np.stack([sample.mask for sample in samples]))[:, None].float(),
        points=torch.from_numpy(np.stack([sample.points for sample in samples])),
        others=others,
        siblings=siblings if with_others else [],
    )
