"""Candidate objects of clicks: scored boxes, and the kernels that will mask them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from models.one_click.criterion import cut_patches
from models.one_click.heads import LevelOutput, OneClickHeads
from models.one_click.windows import ClickedImage, WindowOutput, run_windows
from models.pyramid import STRIDES

SCORE_THRESHOLD = 0.05  # Entity Segmentation, inference
NMS_IOU = 0.6  # Entity Segmentation, inference
MOST_BOXES = 100  # that NMS looks at, the best ones


@dataclass(frozen=True)
class Candidates:
    """K boxes that a click may mean, best first.

    Attributes:
        scores: ``[K]``, √(objectness · centerness).
        boxes: ``[K, 4]`` in pixels of the network's input.
        points: ``[K, 2]`` (x, y) of the predicting locations, pixels.
        levels: long ``[K]``.
        kernels: ``[K, 169]``.
    """

    scores: Tensor
    boxes: Tensor
    points: Tensor
    levels: Tensor
    kernels: Tensor

    def first(self, count: int) -> Candidates:
        """The best so many."""
        parts = (self.scores, self.boxes, self.points, self.levels, self.kernels)
        return Candidates(*(part[:count] for part in parts))


@dataclass(frozen=True)
class FreeLocations:
    """Locations of one level that score without any click, from the click-free pass.

    Attributes:
        rows: long ``[L]``.
        columns: long ``[L]``.
        scores: ``[L]``.
        boxes: ``[L, 4]`` pixels.
        kernels: ``[L, 169]``.
    """

    rows: Tensor
    columns: Tensor
    scores: Tensor
    boxes: Tensor
    kernels: Tensor


def score_of(logits: Tensor, centerness: Tensor) -> Tensor:
    """√(objectness · centerness), both given before the sigmoid."""
    return (logits.sigmoid() * centerness.sigmoid()).sqrt()


def points_at(rows: np.ndarray, columns: np.ndarray, stride: int | np.ndarray) -> np.ndarray:
    """(x, y) of cells in pixels, ``[N, 2]``; the stride as for :func:`boxes_at`."""
    points: np.ndarray = np.stack([columns, rows], 1) * stride + stride // 2
    return points


def boxes_at(
    rows: np.ndarray, columns: np.ndarray, distances: np.ndarray, stride: int | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Locations ``[N, 2]`` and boxes ``[N, 4]`` in pixels from cells and distances ``[N, 4]`` in strides.

    The stride is one for all, or of each, ``[N, 1]``.
    """
    points = points_at(rows, columns, stride).astype(distances.dtype)
    reach = distances * np.asarray(stride, distances.dtype)
    return points, np.concatenate([points - reach[:, :2], points + reach[:, 2:]], 1)


def free_locations(heads: OneClickHeads, output: LevelOutput, level: int, limit: int = 1000) -> FreeLocations:
    """The locations of a click-free pass (batch of one) that reach the score threshold, at most ``limit``."""
    scores = score_of(output.logits[0, 0], output.centerness[0, 0])  # [H, W]
    rows, columns = (scores > SCORE_THRESHOLD).nonzero(as_tuple=True)
    own = scores[rows, columns]
    if len(own) > limit:
        best = own.topk(limit).indices
        rows, columns, own = rows[best], columns[best], own[best]
    distances = output.distances[0][:, rows, columns].T  # [L, 4]
    _, boxes = boxes_at(_array(rows), _array(columns), _array(distances), STRIDES[level])
    patches, inside = cut_patches(output.features, torch.zeros_like(rows), rows, columns, heads.kernel_reach)
    kernels = heads.kernels_from_patches(patches, inside)
    return FreeLocations(rows, columns, own, torch.from_numpy(boxes).to(own.device), kernels)


def no_locations(heads: OneClickHeads, device: torch.device) -> FreeLocations:
    """No location at all."""
    index = torch.zeros(0, dtype=torch.long, device=device)
    kernels = torch.zeros(0, heads.kernels.out_channels, device=device)
    return FreeLocations(
        index, index, torch.zeros(0, device=device), torch.zeros(0, 4, device=device), kernels
    )


def find_candidates(
    heads: OneClickHeads,
    images: Sequence[ClickedImage],
    free: Sequence[Sequence[FreeLocations]],
    limit: int = 6,
) -> list[list[Candidates]]:
    """The best boxes that contain a click of each group; the windows of all images are one batch.

    Args:
        heads: Detection and kernel heads.
        images: Such as the copies of one photo.
        free: Of each image, the click-free locations of each level.
        limit: Candidates per group after NMS.

    Returns:
        For each image one for each group.
    """
    if not any(image.groups for image in images):
        return [[] for _ in images]
    parts = [
        _Windowed(windows, own, _best_of_groups(windows, image, own, limit))
        for windows, image, own in zip(run_windows(heads, images), images, free, strict=True)
    ]
    kernels = iter(_kernels(heads, parts))
    return [[part.with_kernels(next(kernels)) for part in own.chosen] for own in parts]


@dataclass(frozen=True)
class _Part:
    """Candidates before their kernels are computed, so few that NumPy's smaller overhead counts.

    ``places`` (``[K, 3]``) are the window, row and column of those from windows, or (-1, -1, index) of the
    click-free ones; the rest as in :class:`Candidates`.
    """

    scores: np.ndarray
    boxes: np.ndarray
    points: np.ndarray
    levels: np.ndarray
    places: np.ndarray

    def of(self, chosen: np.ndarray | list[int]) -> _Part:
        """Some of them."""
        parts = (self.scores, self.boxes, self.points, self.levels, self.places)
        return _Part(*(part[chosen] for part in parts))

    def with_kernels(self, kernels: Tensor) -> Candidates:
        """Candidates on the kernels' device."""
        parts = (self.scores, self.boxes, self.points, self.levels)
        scores, boxes, points, levels = (torch.from_numpy(part).to(kernels.device) for part in parts)
        return Candidates(scores, boxes, points, levels, kernels)


@dataclass(frozen=True)
class _Cells:
    """What the windows of one image say of each cell; as in :class:`WindowOutput`."""

    rows: np.ndarray
    columns: np.ndarray
    inside: np.ndarray
    logits: np.ndarray
    centerness: np.ndarray
    distances: np.ndarray

    @staticmethod
    def of(windows: WindowOutput) -> _Cells:
        """Bring them here."""
        return _Cells(*(_array(getattr(windows, field.name)) for field in fields(_Cells)))


@dataclass(frozen=True)
class _Free:
    """The click-free locations of one level, and their cells, ``[L]``."""

    level: int
    part: _Part
    rows: np.ndarray
    columns: np.ndarray

    @staticmethod
    def of(free: FreeLocations, level: int) -> _Free:
        """Bring them here, once for all groups of an image."""
        scores, boxes, rows, columns = map(_array, (free.scores, free.boxes, free.rows, free.columns))
        points = points_at(rows, columns, STRIDES[level]).astype(boxes.dtype)
        index = np.arange(len(scores))
        places = np.stack([np.full_like(index, -1), np.full_like(index, -1), index], 1)
        return _Free(level, _Part(scores, boxes, points, np.full_like(index, level), places), rows, columns)


def _array(tensor: Tensor) -> np.ndarray:
    return (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()


def _best_of_groups(
    windows: WindowOutput, image: ClickedImage, free: Sequence[FreeLocations], limit: int
) -> list[_Part]:
    """The best boxes of each group of one image."""
    cells = _Cells.of(windows)
    elsewhere = [_Free.of(one, level) for level, one in enumerate(free) if len(one.scores)]
    chosen = []
    first = 0
    for group in image.groups:
        own = np.arange(first, first + len(group))
        first += len(group)
        clicks = np.array(group, np.float32)  # [P, 2]
        part = _from_windows(cells, own, clicks)
        for locations in elsewhere:
            part = _joined(part, _from_free(locations, cells, own, clicks))
        chosen.append(part.of(_best(part.boxes, part.scores, NMS_IOU, limit)))
    return chosen


def holds_any(boxes: np.ndarray, clicks: np.ndarray) -> np.ndarray:
    """Which boxes ``[K, 4]`` hold any of the clicks ``[P, 2]``."""
    within = (clicks[None] >= boxes[:, None, :2]) & (clicks[None] < boxes[:, None, 2:])  # [K, P, 2]
    held: np.ndarray = np.any(np.all(within, axis=2), axis=1)
    return held


def _from_windows(cells: _Cells, own: np.ndarray, clicks: np.ndarray) -> _Part:
    """Locations of one group's windows, on all levels."""
    level, slot, row, column = cells.inside[:, own].nonzero()
    slot = own[slot]
    if len(own) > 1:  # the windows of clicks that lie close to each other share cells
        shared = np.stack([level, cells.rows[level, slot, row], cells.columns[level, slot, column]], 1)
        first = np.sort(np.unique(shared, axis=0, return_index=True)[1])
        level, slot, row, column = level[first], slot[first], row[first], column[first]
    rows, columns = cells.rows[level, slot, row], cells.columns[level, slot, column]
    strides = np.array(STRIDES)[level, None]
    points, boxes = boxes_at(rows, columns, cells.distances[level, slot, :, row, column], strides)
    keep = holds_any(boxes, clicks).nonzero()[0]
    level, slot, row, column = level[keep], slot[keep], row[keep], column[keep]
    place = (level, slot, row, column)
    scores = score_of(torch.from_numpy(cells.logits[place]), torch.from_numpy(cells.centerness[place]))
    return _Part(scores.numpy(), boxes[keep], points[keep], level, np.stack([slot, row, column], 1))


def _from_free(free: _Free, cells: _Cells, own: np.ndarray, clicks: np.ndarray) -> _Part:
    """Click-free locations of a level that none of the group's windows covers."""
    keep = holds_any(free.part.boxes, clicks)
    for slot in own:
        rows, columns = cells.rows[free.level, slot], cells.columns[free.level, slot]
        covered = (free.rows >= rows[0]) & (free.rows <= rows[-1])
        covered &= (free.columns >= columns[0]) & (free.columns <= columns[-1])
        keep &= ~covered
    return free.part.of(keep.nonzero()[0])


def _joined(a: _Part, b: _Part) -> _Part:
    names = [field.name for field in fields(_Part)]
    return _Part(*(np.concatenate([getattr(a, name), getattr(b, name)]) for name in names))


@dataclass(frozen=True)
class _Windowed:
    """What an image's windows, and its click-free locations, have for each of its groups."""

    windows: WindowOutput
    free: Sequence[FreeLocations]
    chosen: Sequence[_Part]


def _kernels(heads: OneClickHeads, images: Sequence[_Windowed]) -> Sequence[Tensor]:
    """Kernels ``[K, 169]`` of each group's candidates, group after group; those of windows in one batch."""
    size = 2 * heads.kernel_reach + 1
    patches, insides, slots, ready, counts = [], [], [], {}, []
    total = 0
    for image in images:
        for part in image.chosen:
            counts.append(len(part.scores))
            for level, (slot, row, column) in zip(part.levels.tolist(), part.places.tolist(), strict=True):
                if slot < 0:
                    ready[total] = image.free[level].kernels[column]
                else:
                    region = (level, slot, slice(None), slice(row, row + size), slice(column, column + size))
                    patches.append(image.windows.features[region])
                    insides.append(image.windows.features_inside[region])
                    slots.append(total)
                total += 1
    device = images[0].windows.features.device
    kernels = torch.zeros(total, heads.kernels.out_channels, device=device)  # float32, also in autocast
    if patches:
        kernels[slots] = heads.kernels_from_patches(torch.stack(patches), torch.stack(insides)).float()
    for index, kernel in ready.items():
        kernels[index] = kernel
    return torch.split(kernels, counts)


def nms(boxes: Tensor, scores: Tensor, threshold: float, limit: int) -> Tensor:
    """Indices of the best boxes ``[K, 4]``, none overlapping a better one by more than an IoU; best first."""
    kept = _best(_array(boxes), _array(scores), threshold, limit)
    return torch.tensor(kept, dtype=torch.long, device=boxes.device)


def _best(boxes: np.ndarray, scores: np.ndarray, threshold: float, limit: int) -> list[int]:
    """The same of arrays."""
    order = np.argsort(-scores, kind="stable")[:MOST_BOXES]
    x1, y1, x2, y2 = np.ascontiguousarray(boxes[order].T)
    areas = (x2 - x1) * (y2 - y1)
    kept: list[int] = []
    left = np.ones(len(order), bool)
    for index in range(len(order)):
        if len(kept) == limit:
            break
        if left[index]:
            kept.append(int(order[index]))
            width = np.minimum(x2, x2[index]) - np.maximum(x1, x1[index])
            height = np.minimum(y2, y2[index]) - np.maximum(y1, y1[index])
            common = np.maximum(width, 0) * np.maximum(height, 0)
            left &= common <= threshold * np.maximum(areas + areas[index] - common, 1e-6)
    return kept
