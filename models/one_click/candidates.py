"""Candidate objects of clicks: scored boxes, and the kernels that will mask them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def boxes_at(rows: Tensor, columns: Tensor, distances: Tensor, stride: int | Tensor) -> tuple[Tensor, Tensor]:
    """Locations ``[N, 2]`` and boxes ``[N, 4]`` in pixels from cells and distances ``[N, 4]`` in strides.

    The stride is one for all, or of each, ``[N, 1]``.
    """
    points = torch.stack([columns, rows], 1).to(distances.dtype) * stride + stride // 2
    reach = distances * stride
    return points, torch.cat([points - reach[:, :2], points + reach[:, 2:]], 1)


def free_locations(heads: OneClickHeads, output: LevelOutput, level: int, limit: int = 1000) -> FreeLocations:
    """The locations of a click-free pass (batch of one) that reach the score threshold, at most ``limit``."""
    scores = score_of(output.logits[0, 0], output.centerness[0, 0])  # [H, W]
    rows, columns = (scores > SCORE_THRESHOLD).nonzero(as_tuple=True)
    own = scores[rows, columns]
    if len(own) > limit:
        best = own.topk(limit).indices
        rows, columns, own = rows[best], columns[best], own[best]
    distances = output.distances[0][:, rows, columns].T  # [L, 4]
    _, boxes = boxes_at(rows, columns, distances, STRIDES[level])
    patches, inside = cut_patches(output.features, torch.zeros_like(rows), rows, columns, heads.kernel_reach)
    return FreeLocations(rows, columns, own, boxes, heads.kernels_from_patches(patches, inside))


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
    return [
        [Candidates(c.scores, c.boxes, c.points, c.levels, next(kernels)) for c in part.chosen]
        for part in parts
    ]


def _best_of_groups(
    windows: Sequence[WindowOutput], image: ClickedImage, free: Sequence[FreeLocations], limit: int
) -> list[_Part]:
    """The best boxes of each group of one image."""
    chosen = []
    first = 0
    for group in image.groups:
        own = range(first, first + len(group))
        first += len(group)
        clicks = torch.tensor(list(group), dtype=torch.float32, device=image.pyramid[0].device)  # [P, 2]
        parts = [_from_windows(windows, own, clicks)]
        parts += [_from_free(f, w, own, clicks) for f, w in zip(free, windows, strict=True) if len(f.scores)]
        chosen.append(_best(_join(parts), limit))
    return chosen


@dataclass(frozen=True)
class _Part:
    """Candidates before their kernels are computed.

    ``places`` (``[K, 3]``) are the window, row and column of those from windows, or (-1, -1, index) of the
    click-free ones.
    """

    scores: Tensor
    boxes: Tensor
    points: Tensor
    levels: Tensor
    places: Tensor


def holds_any(boxes: Tensor, clicks: Tensor) -> Tensor:
    """Which boxes ``[K, 4]`` hold any of the clicks ``[P, 2]``."""
    after = (clicks[None] >= boxes[:, None, :2]).all(2)
    return (after & (clicks[None] < boxes[:, None, 2:]).all(2)).any(1)


def _from_windows(windows: Sequence[WindowOutput], own: Sequence[int], clicks: Tensor) -> _Part:
    """Locations of one group's windows, on all levels."""
    index = torch.tensor(list(own), device=clicks.device)
    inside = torch.stack([w.inside[index] for w in windows])  # [4, P, S, S]
    level, slot, row, column = places = inside.nonzero(as_tuple=True)
    rows = torch.stack([w.rows[index] for w in windows])[level, slot, row]
    columns = torch.stack([w.columns[index] for w in windows])[level, slot, column]
    if len(own) > 1:  # the windows of clicks that lie close to each other share cells
        first = _first_of_each(torch.stack([level, rows, columns], 1))
        places = tuple(part[first] for part in places)
        level, slot, row, column = places
        rows, columns = rows[first], columns[first]
    logits, centerness = (
        torch.stack([getattr(w, name)[index] for w in windows])[places] for name in ("logits", "centerness")
    )
    distances = torch.stack([w.distances[index] for w in windows])[level, slot, :, row, column]  # [N, 4]
    strides = torch.tensor([STRIDES[w.level] for w in windows], device=clicks.device)[level, None]
    points, boxes = boxes_at(rows, columns, distances, strides)
    keep = holds_any(boxes, clicks)
    scores, at = score_of(logits, centerness), torch.stack([index[slot], row, column], 1)
    return _Part(scores[keep], boxes[keep], points[keep], level[keep], at[keep])


def _first_of_each(cells: Tensor) -> Tensor:
    """Indices, ascending, at which the rows of ``[N, 3]`` appear for the first time."""
    _, inverse = torch.unique(cells, dim=0, return_inverse=True)
    order = torch.argsort(inverse, stable=True)
    new = torch.ones_like(inverse, dtype=torch.bool)
    new[1:] = inverse[order][1:] != inverse[order][:-1]
    return order[new].sort().values


def _from_free(free: FreeLocations, window: WindowOutput, own: Sequence[int], clicks: Tensor) -> _Part:
    """Click-free locations that none of the group's windows covers."""
    keep = holds_any(free.boxes, clicks)
    for slot in own:
        rows, columns = window.rows[slot], window.columns[slot]
        covered = (free.rows >= rows[0]) & (free.rows <= rows[-1])
        covered &= (free.columns >= columns[0]) & (free.columns <= columns[-1])
        keep &= ~covered
    stride = STRIDES[window.level]
    index = keep.nonzero()[:, 0]
    points = torch.stack([free.columns, free.rows], 1)[index].to(free.boxes.dtype) * stride + stride // 2
    places = torch.stack([torch.full_like(index, -1), torch.full_like(index, -1), index], 1)
    levels = torch.full_like(index, window.level)
    return _Part(free.scores[index], free.boxes[index], points, levels, places)


def _join(parts: Sequence[_Part]) -> _Part:
    return _Part(
        torch.cat([p.scores for p in parts]),
        torch.cat([p.boxes for p in parts]),
        torch.cat([p.points for p in parts]),
        torch.cat([p.levels for p in parts]),
        torch.cat([p.places for p in parts]),
    )


def _best(part: _Part, limit: int) -> _Part:
    kept = nms(part.boxes, part.scores, NMS_IOU, limit)
    return _Part(part.scores[kept], part.boxes[kept], part.points[kept], part.levels[kept], part.places[kept])


@dataclass(frozen=True)
class _Windowed:
    """What an image's windows, and its click-free locations, have for each of its groups."""

    windows: Sequence[WindowOutput]
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
                    window = image.windows[level]
                    region = (slot, slice(None), slice(row, row + size), slice(column, column + size))
                    patches.append(window.features[region])
                    insides.append(window.features_inside[region])
                    slots.append(total)
                total += 1
    device = images[0].windows[0].features.device
    kernels = torch.zeros(total, heads.kernels.out_channels, device=device)  # float32, also in autocast
    if patches:
        kernels[slots] = heads.kernels_from_patches(torch.stack(patches), torch.stack(insides)).float()
    for index, kernel in ready.items():
        kernels[index] = kernel
    return torch.split(kernels, counts)


def nms(boxes: Tensor, scores: Tensor, threshold: float, limit: int) -> Tensor:
    """Indices of the best boxes ``[K, 4]``, none overlapping a better one by more than an IoU; best first."""
    order = torch.argsort(scores, descending=True, stable=True)[:MOST_BOXES]
    x1, y1, x2, y2 = boxes[order].cpu().numpy().T  # so few that NumPy's smaller overhead counts
    width = np.minimum(x2[:, None], x2) - np.maximum(x1[:, None], x1)  # [K, K]
    height = np.minimum(y2[:, None], y2) - np.maximum(y1[:, None], y1)
    overlap = np.maximum(width, 0) * np.maximum(height, 0)
    areas = (x2 - x1) * (y2 - y1)
    alike = overlap / np.maximum(areas[:, None] + areas - overlap, 1e-6) > threshold
    kept: list[int] = []
    left = np.ones(len(alike), bool)
    for index, own in enumerate(alike):
        if len(kept) == limit:
            break
        if left[index]:
            kept.append(index)
            left &= ~own
    return order[kept]
