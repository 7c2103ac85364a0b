"""Samples and batches for training CPN and PVM: pictures with groups of similar objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.data.canvas import Canvas, CanvasObject
from models.data.click_sampling import interior_distance, sample_clicks
from models.data.composer import FIRST_PASTED_GROUP
from models.data.one_click_samples import clickable

COVERAGE_STRIDE = 4


@dataclass(frozen=True)
class GroupObject:
    """An object of a picture.

    Attributes:
        group: Siblings share one.
        click: (x, y), near its centre.
        center: (x, y), what CPN should propose.
        diameter: The smaller side of its box, pixels.
        coverage: uint8 ``[S / 4, S / 4]``, 0–255: its true mask at stride 4.
    """

    group: int
    click: tuple[float, float]
    center: tuple[float, float]
    diameter: float
    coverage: np.ndarray

    @property
    def pasted(self) -> bool:
        """Whether it was pasted, so that its group is known to be complete."""
        return self.group >= FIRST_PASTED_GROUP


@dataclass(frozen=True)
class GroupSample:
    """A picture, its objects, and points on none of them.

    Attributes:
        image: uint8 ``[3, S, S]``.
        objects: What is visible enough to be clicked.
        elsewhere: (x, y) of points outside all objects.
        target: Index of the object that is clicked; None when there is none.
    """

    image: np.ndarray
    objects: list[GroupObject]
    elsewhere: list[tuple[float, float]]
    target: int | None


@dataclass(frozen=True)
class GroupBatch:
    """Pictures uint8 ``[B, 3, S, S]`` and the samples they belong to."""

    image: Tensor
    samples: list[GroupSample]

    def to(self, device: torch.device, non_blocking: bool = False) -> GroupBatch:
        """The same on another device."""
        return GroupBatch(self.image.to(device, non_blocking=non_blocking), self.samples)


def make_group_sample(canvas: Canvas, rng: np.random.Generator, limit: int, elsewhere: int) -> GroupSample:
    """Describe a canvas's objects and draw the clicked one, from a group of several if there is one."""
    items = clickable(canvas)
    if len(items) > limit:
        items = [items[i] for i in sorted(rng.choice(len(items), limit, replace=False))]
    objects = [_describe(item, rng) for item in items]
    points: list[tuple[float, float]] = []
    if elsewhere:
        covered = np.zeros(canvas.image.shape[:2], bool)
        for item in canvas.objects:
            covered |= item.mask
        side = canvas.image.shape[0]
        for _ in range(4 * elsewhere):
            x, y = rng.uniform(0, side, 2)
            if len(points) < elsewhere and not covered[int(y), int(x)]:
                points.append((float(x), float(y)))
    image = np.ascontiguousarray(canvas.image.transpose(2, 0, 1))
    return GroupSample(image, objects, points, _draw_target(objects, rng))


def _describe(item: CanvasObject, rng: np.random.Generator) -> GroupObject:
    ys, xs = item.mask.nonzero()
    x, y = float(xs.mean()) + 0.5, float(ys.mean()) + 0.5
    if not item.mask[int(y), int(x)]:  # a ring or a crescent: its centre of mass lies beside it
        distance, top, left = interior_distance(item.mask)
        row, column = np.unravel_index(int(distance.argmax()), distance.shape)
        x, y = left + float(column) + 0.5, top + float(row) + 0.5
    side = item.mask.shape[0] // COVERAGE_STRIDE
    blocks = item.mask.reshape(side, COVERAGE_STRIDE, side, COVERAGE_STRIDE)
    coverage = (blocks.mean((1, 3)) * 255).astype(np.uint8)
    diameter = float(min(ys.max() - ys.min(), xs.max() - xs.min()) + 1)
    return GroupObject(item.group, sample_clicks(item.mask, rng, 1.0)[0], (x, y), diameter, coverage)


def _draw_target(objects: Sequence[GroupObject], rng: np.random.Generator) -> int | None:
    if not objects:
        return None
    groups = [o.group for o in objects]
    several = sorted({g for g in groups if groups.count(g) > 1}) or sorted(set(groups))
    chosen = several[int(rng.integers(len(several)))]
    members = [i for i, g in enumerate(groups) if g == chosen]
    return members[int(rng.integers(len(members)))]


def collate_groups(samples: Sequence[GroupSample]) -> GroupBatch:
    """Stack pictures of one size."""
    return GroupBatch(torch.from_numpy(np.stack([s.image for s in samples])), list(samples))
