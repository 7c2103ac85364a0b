"""Samples and batches for training the mask refiner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.data.canvas import Canvas
from models.data.click_sampling import sample_clicks
from models.data.one_click_samples import clickable

DRAWS = 4  # random numbers of an object: which candidate, the crop's size, its place in x and in y


@dataclass(frozen=True)
class RefinerSample:
    """One picture with clicked objects.

    Attributes:
        image: uint8 ``[3, S, S]``.
        masks: bool ``[N, S, S]``.
        clicks: (x, y) of each object's clicks.
        draws: float32 ``[N, DRAWS]``, uniform in 0–1.
    """

    image: np.ndarray
    masks: np.ndarray
    clicks: list[list[tuple[float, float]]]
    draws: np.ndarray


@dataclass(frozen=True)
class RefinerBatch:
    """Pictures of one size: pixels uint8 ``[B, 3, S, S]``, and what else is known of each."""

    image: Tensor
    samples: list[RefinerSample]

    def to(self, device: torch.device, non_blocking: bool = False) -> RefinerBatch:
        """The same on another device."""
        return RefinerBatch(self.image.to(device, non_blocking=non_blocking), self.samples)


def make_refiner_sample(
    canvas: Canvas, rng: np.random.Generator, limit: int, single_probability: float
) -> RefinerSample:
    """Click some of the canvas's objects, at most ``limit``.

    Args:
        canvas: The picture.
        rng: Source of randomness.
        limit: Most objects.
        single_probability: See :func:`models.data.click_sampling.sample_clicks`.
    """
    candidates = clickable(canvas)
    order = rng.permutation(len(candidates))[:limit]
    chosen = [candidates[index] for index in order]
    side = canvas.image.shape[0]
    return RefinerSample(
        image=np.ascontiguousarray(canvas.image.transpose(2, 0, 1)),
        masks=np.array([item.mask for item in chosen], bool).reshape(-1, side, side),
        clicks=[sample_clicks(item.mask, rng, single_probability) for item in chosen],
        draws=rng.random((len(chosen), DRAWS), dtype=np.float32),
    )


def collate_refiner(samples: Sequence[RefinerSample]) -> RefinerBatch:
    """Stack pictures of one size."""
    return RefinerBatch(torch.from_numpy(np.stack([s.image for s in samples])), list(samples))
