"""Candidate objects of clicks: scored boxes, and the kernels that will mask them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.one_click.criterion import cut_patches
from models.one_click.heads import LevelOutput, OneClickHeads
from models.one_click.windows import WindowOutput, run_windows
from models.pyramid import STRIDES

SCORE_THRESHOLD = 0.05  # Entity Segmentation, inference
NMS_IOU = 0.6  # Entity Segmentation, inference


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


def boxes_at(rows: Tensor, columns: Tensor, distances: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Locations ``[N, 2]`` and boxes ``[N, 4]`` in pixels from cells and distances ``[N, 4]`` in strides."""
    points = torch.stack([columns, rows], 1).to(distances.dtype) * stride + stride // 2
    return points, torch.cat([points - distances[:, :2] * stride, points + distances[:, 2:] * stride], 1)


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
    pyramid: Sequence[Tensor],
    free: Sequence[FreeLocations],
    groups: Sequence[Sequence[tuple[float, float]]],
    limit: int = 6,
) -> list[Candidates]:
    """The best boxes that contain a click of each group; each group is clicked alone.

    Args:
        heads: Detection and kernel heads.
        pyramid: P2–P5 of one image, ``[C, H, W]`` each.
        free: The click-free locations of each level.
        groups: For each object, its clicks (x, y) in pixels.
        limit: Candidates per group after NMS.
    """
    centers = [point for group in groups for point in group]
    window_groups = [group for group in groups for _ in group]
    owners = torch.tensor([index for index, group in enumerate(groups) for _ in group])
    windows = run_windows(heads, pyramid, centers, window_groups)
    chosen = []
    for index, group in enumerate(groups):
        own = (owners == index).nonzero()[:, 0].tolist()
        clicks = torch.tensor(list(group), dtype=torch.float32, device=pyramid[0].device)  # [P, 2]
        parts = [_from_window(w, own, clicks) for w in windows]
        parts += [_from_free(f, w, own, clicks) for f, w in zip(free, windows, strict=True)]
        chosen.append(_best(_join(parts), limit))
    kernels = _kernels(heads, windows, free, chosen)
    counts = [len(c.scores) for c in chosen]
    return [
        Candidates(c.scores, c.boxes, c.points, c.levels, own)
        for c, own in zip(chosen, torch.split(kernels, counts), strict=True)
    ]


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


def _from_window(window: WindowOutput, own: Sequence[int], clicks: Tensor) -> _Part:
    index = torch.tensor(list(own), device=clicks.device)
    slot, row, column = window.inside[index].nonzero(as_tuple=True)
    slot = index[slot]
    if len(own) > 1:  # the windows of clicks that lie close to each other share cells
        first = _first_of_each(torch.stack([window.rows[slot, row], window.columns[slot, column]], 1))
        slot, row, column = slot[first], row[first], column[first]
    scores = score_of(window.logits[slot, row, column], window.centerness[slot, row, column])
    distances = window.distances[slot, :, row, column]
    points, boxes = boxes_at(
        window.rows[slot, row], window.columns[slot, column], distances, STRIDES[window.level]
    )
    keep = holds_any(boxes, clicks)
    places = torch.stack([slot, row, column], 1)
    levels = torch.full_like(slot, window.level)
    return _Part(scores[keep], boxes[keep], points[keep], levels[keep], places[keep])


def _first_of_each(cells: Tensor) -> Tensor:
    """Indices, ascending, at which the rows of ``[N, 2]`` appear for the first time."""
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


def _kernels(
    heads: OneClickHeads,
    windows: Sequence[WindowOutput],
    free: Sequence[FreeLocations],
    chosen: Sequence[_Part],
) -> Tensor:
    """Kernels ``[sum of K, 169]`` of all the groups' candidates; those of windows in one batch."""
    size = 2 * heads.kernel_reach + 1
    patches, insides, slots, ready = [], [], [], {}
    levels = torch.cat([c.levels for c in chosen]).tolist()
    places = torch.cat([c.places for c in chosen]).tolist()
    for index, (level, (slot, row, column)) in enumerate(zip(levels, places, strict=True)):
        if slot < 0:
            ready[index] = free[level].kernels[column]
            continue
        region = (slot, slice(None), slice(row, row + size), slice(column, column + size))
        patches.append(windows[level].features[region])
        insides.append(windows[level].features_inside[region])
        slots.append(index)
    device = windows[0].features.device
    kernels = torch.zeros(len(levels), heads.kernels.out_channels, device=device)  # float32, also in autocast
    if patches:
        kernels[slots] = heads.kernels_from_patches(torch.stack(patches), torch.stack(insides)).float()
    for index, kernel in ready.items():
        kernels[index] = kernel
    return kernels


def nms(boxes: Tensor, scores: Tensor, threshold: float, limit: int) -> Tensor:
    """Indices of the best boxes ``[K, 4]``, none overlapping a better one by more than an IoU; best first."""
    order = torch.argsort(scores, descending=True, stable=True)[:100]
    kept: list[int] = []
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    while len(order) and len(kept) < limit:
        first, rest = order[0], order[1:]
        kept.append(int(first))
        low = torch.maximum(boxes[first, :2], boxes[rest, :2])
        high = torch.minimum(boxes[first, 2:], boxes[rest, 2:])
        overlap = (high - low).clamp(min=0).prod(1)
        iou = overlap / (areas[first] + areas[rest] - overlap).clamp(min=1e-6)
        order = rest[iou <= threshold]
    return torch.tensor(kept, dtype=torch.long, device=boxes.device)
