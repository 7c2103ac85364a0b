"""Samples and batches for training 1C-DSN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.data.canvas import Canvas, CanvasObject, box_of
from models.data.click_sampling import sample_clicks
from models.one_click.criterion import Targets
from models.one_click.model import click_maps_of

TARGET_STRIDE = 2  # masks are compared at stride 2: small objects need more than the paper's 4


@dataclass(frozen=True)
class OneClickSample:
    """One picture with the objects that the network is to find: the clicked ones, if it sees clicks.

    Attributes:
        image: uint8 ``[3, S, S]``.
        boxes: float32 ``[N, 4]`` pixels.
        centers: float32 ``[N, 2]`` centres of mass.
        masks: uint8 ``[N, S / s, S / s]``, at stride s.
        clicks: (x, y) of all the clicks, of whichever object.
    """

    image: np.ndarray
    boxes: np.ndarray
    centers: np.ndarray
    masks: np.ndarray
    clicks: list[tuple[float, float]]


@dataclass(frozen=True)
class OneClickBatch:
    """What the criterion and the network take, with K sets of clicks for each picture.

    Attributes:
        image: uint8 ``[B, 3, S, S]``.
        click_maps: Of the four levels, ``[K · B, 1, S / stride, S / stride]``: the first sets of all
            pictures, then the second ones.
        objects: The clicked objects of all sets, one set's after the other's.
        counts: How many of them belong to each of the K · B sets.
    """

    image: Tensor
    click_maps: list[Tensor]
    objects: Targets
    counts: list[int]

    @property
    def targets(self) -> list[Targets]:
        """Of each set."""
        o = self.objects
        parts = (part.split(self.counts) for part in (o.boxes, o.centers, o.masks))
        return [Targets(*each) for each in zip(*parts, strict=True)]

    def to(self, device: torch.device, non_blocking: bool = False) -> OneClickBatch:
        """The same on another device."""
        return OneClickBatch(
            self.image.to(device, non_blocking=non_blocking),
            [maps.to(device, non_blocking=non_blocking) for maps in self.click_maps],
            self.objects.to(device),
            self.counts,
        )


def clickable(canvas: Canvas, smallest_area: int = 16, visibility: float = 0.3) -> list[CanvasObject]:
    """Objects with enough left to see."""
    return [
        o for o in canvas.objects if np.count_nonzero(o.mask) >= smallest_area and o.visible >= visibility
    ]


def make_samples(
    canvas: Canvas,
    rng: np.random.Generator,
    limit: int,
    stride: int = TARGET_STRIDE,
    single_probability: float = 0.6,
    click: bool = True,
    click_sets: int = 1,
) -> list[OneClickSample]:
    """Click half of the canvas's objects (at least one, at most ``limit``): the network's targets.

    Args:
        canvas: The picture.
        rng: Source of randomness.
        limit: Most objects clicked at once.
        stride: Pixels per cell at which masks are kept.
        single_probability: See :func:`models.data.click_sampling.sample_clicks`.
        click: False for a network that sees no clicks: all objects are its targets, and none is clicked.
        click_sets: How often the picture is clicked, each time on other objects.

    Returns:
        A sample for each set of clicks, all of one image; one where ``click`` is False.

    Source: SimpSON, section 5.1: at most 50 % of the instances, so that predictions follow the clicks.
    """
    candidates = clickable(canvas)
    sets = _sets(candidates, rng, limit, click_sets) if click else [candidates]
    image = np.ascontiguousarray(canvas.image.transpose(2, 0, 1))
    return [_sample(image, chosen, rng, stride, single_probability if click else None) for chosen in sets]


def _sample(
    image: np.ndarray,
    chosen: list[CanvasObject],
    rng: np.random.Generator,
    stride: int,
    single_probability: float | None,
) -> OneClickSample:
    """What is to be found, with its clicks; without them where the probability is None."""
    boxes, centers, masks, clicks = [], [], [], []
    for item in chosen:
        x, y, width, height = box_of(item.mask)
        ys, xs = item.mask[y : y + height, x : x + width].nonzero()
        boxes.append((x, y, x + width, y + height))
        centers.append((x + xs.mean() + 0.5, y + ys.mean() + 0.5))
        masks.append(item.mask[stride // 2 :: stride, stride // 2 :: stride])
        if single_probability is not None:
            clicks.extend(sample_clicks(item.mask, rng, single_probability))
    side = image.shape[1]
    return OneClickSample(
        image=image,
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        centers=np.array(centers, np.float32).reshape(-1, 2),
        masks=np.array(masks, np.uint8).reshape(-1, side // stride, side // stride),
        clicks=clicks,
    )


def _sets(
    candidates: list[CanvasObject], rng: np.random.Generator, limit: int, number: int
) -> list[list[CanvasObject]]:
    """Half of the objects, then half of them again from those that are left: a later set may be empty."""
    count = min(max(len(candidates) // 2, 1), limit)
    order = rng.permutation(len(candidates))
    return [[candidates[i] for i in order[k * count : (k + 1) * count]] for k in range(number)]


def collate(samples: Sequence[Sequence[OneClickSample]]) -> OneClickBatch:
    """Stack pictures of one size, each with as many sets of clicks; first come the first sets of all."""
    side = samples[0][0].image.shape[1]
    by_set = [sample for samples_of_set in zip(*samples, strict=True) for sample in samples_of_set]
    return OneClickBatch(
        image=torch.from_numpy(np.stack([of_picture[0].image for of_picture in samples])),
        click_maps=click_maps_of([s.clicks for s in by_set], side, side),
        objects=Targets(
            torch.from_numpy(np.concatenate([s.boxes for s in by_set])),
            torch.from_numpy(np.concatenate([s.centers for s in by_set])),
            torch.from_numpy(np.concatenate([s.masks for s in by_set])),
        ),
        counts=[len(s.boxes) for s in by_set],
    )
