"""Samples and batches for training CPN and PVM: pictures with groups of similar objects."""

from __future__ import annotations

from collections import Counter
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
        kind: Category; -1 where nobody said.
        photo: Index of the photo that it comes from; -1 where unknown.
        complete: Whether nothing else in the picture is a sibling of it.
    """

    group: int
    click: tuple[float, float]
    center: tuple[float, float]
    diameter: float
    coverage: np.ndarray
    kind: int = -1
    photo: int = -1
    complete: bool = False

    @property
    def pasted(self) -> bool:
        """Whether it was pasted."""
        return self.group >= FIRST_PASTED_GROUP


@dataclass(frozen=True)
class GroupSample:
    """A picture, its objects, and points on none of them.

    Attributes:
        image: uint8 ``[3, S, S]``.
        objects: What is visible enough to be clicked.
        elsewhere: (x, y) of points outside all objects.
        target: Index of the object that is clicked; None when there is none.
        siblings: uint8 ``[S / 4, S / 4]``, 0–255: all of the target's group, with what is too small or too
            hidden to be clicked; None when there is no target.
        predicted: Whether what is learned from are the frozen network's masks; the true ones otherwise.
        further: Indices of members of other groups that are clicked too, each by itself.
    """

    image: np.ndarray
    objects: list[GroupObject]
    elsewhere: list[tuple[float, float]]
    target: int | None
    siblings: np.ndarray | None = None
    predicted: bool = True
    further: tuple[int, ...] = ()


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
    objects = [_describe(item, rng, _is_complete(item, canvas.objects)) for item in items]
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
    target = _draw_target(objects, rng)
    siblings = None
    if target is not None:
        group = objects[target].group
        siblings = coverage_of(np.any([o.mask for o in canvas.objects if o.group == group], axis=0))
    return GroupSample(image, objects, points, target, siblings)


def coverage_of(mask: np.ndarray) -> np.ndarray:
    """How much of each 4 × 4 block a mask fills: bool ``[S, S]`` to uint8 ``[S / 4, S / 4]``, 0–255."""
    side = mask.shape[0] // COVERAGE_STRIDE
    blocks = mask.reshape(side, COVERAGE_STRIDE, side, COVERAGE_STRIDE)
    return (blocks.mean((1, 3)) * 255).astype(np.uint8)


def may_be_alike(a: CanvasObject | GroupObject, b: CanvasObject | GroupObject) -> bool:
    """Whether nobody said if two objects of different groups are alike: one kind, out of two photos.

    Within one photo its own groups say it.
    """
    pasted = max(a.group, b.group) >= FIRST_PASTED_GROUP
    return a.kind == b.kind >= 0 and (pasted or a.photo != b.photo)


def _is_complete(item: CanvasObject, others: Sequence[CanvasObject]) -> bool:
    return item.complete and not any(o.group != item.group and may_be_alike(item, o) for o in others)


def _describe(item: CanvasObject, rng: np.random.Generator, complete: bool) -> GroupObject:
    ys, xs = item.mask.nonzero()
    x, y = float(xs.mean()) + 0.5, float(ys.mean()) + 0.5
    if not item.mask[int(y), int(x)]:  # a ring or a crescent: its centre of mass lies beside it
        distance, top, left = interior_distance(item.mask)
        row, column = np.unravel_index(int(distance.argmax()), distance.shape)
        x, y = left + float(column) + 0.5, top + float(row) + 0.5
    return GroupObject(
        group=item.group,
        click=sample_clicks(item.mask, rng, 1.0)[0],
        center=(x, y),
        diameter=float(min(ys.max() - ys.min(), xs.max() - xs.min()) + 1),
        coverage=coverage_of(item.mask),
        kind=item.kind,
        photo=item.photo,
        complete=complete,
    )


def _draw_target(objects: Sequence[GroupObject], rng: np.random.Generator) -> int | None:
    if not objects:
        return None
    groups = _groups_of_several(objects) or sorted({o.group for o in objects})
    return _draw_member(objects, groups[int(rng.integers(len(groups)))], rng)


def draw_further(sample: GroupSample, rng: np.random.Generator, most: int) -> tuple[int, ...]:
    """A member of each of some other groups of several objects than the target's.

    Args:
        sample: Without a target it gives none.
        rng: Draws the groups and their members.
        most: So many, at most.
    """
    if sample.target is None:
        return ()
    objects = sample.objects
    others = [g for g in _groups_of_several(objects) if g != objects[sample.target].group]
    return tuple(_draw_member(objects, int(g), rng) for g in rng.permutation(others)[:most])


def _groups_of_several(objects: Sequence[GroupObject]) -> list[int]:
    return sorted(group for group, count in Counter(o.group for o in objects).items() if count > 1)


def _draw_member(objects: Sequence[GroupObject], group: int, rng: np.random.Generator) -> int:
    members = [i for i, o in enumerate(objects) if o.group == group]
    return members[int(rng.integers(len(members)))]


def collate_groups(samples: Sequence[GroupSample]) -> GroupBatch:
    """Stack pictures of one size."""
    return GroupBatch(torch.from_numpy(np.stack([s.image for s in samples])), list(samples))
