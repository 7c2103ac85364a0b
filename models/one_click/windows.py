"""Small windows of the pyramid around clicks: all that a click can change.

Every layer of the heads is local at inference, so a click alters only cells within the heads' reach. The rest
is computed once per image; the windows are recomputed exactly, many clicks in one batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from models.one_click.heads import OneClickHeads
from models.one_click.layers import shrink
from models.pyramid import STRIDES

Point = tuple[float, float]

# Cells around a lone click in which the first layers read its embedding, which reaches a cell itself.
LONE_CLICK_REACH = 3


@dataclass(frozen=True)
class WindowOutput:
    """Head outputs of one image around J clicks, on L levels.

    Attributes:
        rows: long ``[L, J, S]``, the map rows of each window's cells; outside the map where out of range.
        columns: long ``[L, J, S]``.
        inside: bool ``[L, J, S, S]``, which cells lie in the map.
        logits: ``[L, J, S, S]``.
        centerness: ``[L, J, S, S]``, before the sigmoid.
        distances: ``[L, J, 4, S, S]`` in strides.
        features: ``[L, J, C, S + 2 k, S + 2 k]`` box-tower features, k the kernel head's reach.
        features_inside: ``[L, J, 1, S + 2 k, S + 2 k]``.
    """

    rows: Tensor
    columns: Tensor
    inside: Tensor
    logits: Tensor
    centerness: Tensor
    distances: Tensor
    features: Tensor
    features_inside: Tensor


def click_reach(heads: OneClickHeads) -> int:
    """Cells from a click to the farthest location whose score, box or kernel it changes."""
    return 1 + heads.config.head_depth + max(1, heads.kernel_reach)


@dataclass(frozen=True)
class ClickedImage:
    """An image and what is clicked in it.

    Attributes:
        pyramid: P2–P5, ``[C, H, W]`` each.
        groups: For each object, its clicks (x, y) in pixels; each group is clicked alone.
        first: Of each level what ``OneClickHeads.first_layers`` makes of it, ``[2 C', H, W]``; None where it
            is computed in the windows.
    """

    pyramid: Sequence[Tensor]
    groups: Sequence[Sequence[Point]]
    first: Sequence[Tensor | None] = (None,) * len(STRIDES)

    @property
    def centers(self) -> list[Point]:
        """All clicks, group after group; each gets a window."""
        return [point for group in self.groups for point in group]


@dataclass(frozen=True)
class _Places:
    """Where N windows lie, of all images and levels, with a border of one cell that the first layers read.

    Attributes:
        clicked: (row, column) of each click's cell.
        counts: Windows of each image and level.
        levels: long ``[N]``, 0–3 for P2–P5.
        rows: long ``[N, T]``, cells of the map; outside it where out of range.
        columns: long ``[N, T]``.
        inside: bool ``[N, T, T]``, which cells lie in the map.
        cells: long ``[N, T, T]``, their place in the flat map; of one outside, the nearest one's.
    """

    clicked: list[tuple[int, int]]
    counts: list[int]
    levels: Tensor
    rows: Tensor
    columns: Tensor
    inside: Tensor
    cells: Tensor


def run_windows(heads: OneClickHeads, images: Sequence[ClickedImage]) -> list[WindowOutput]:
    """Heads around clicks on all levels: what full passes with each click's group in the click map give.

    The levels share the heads, and all windows have one size, so those of all images are one batch.

    Args:
        heads: The detection and kernel heads, in evaluation mode with BatchNorm.
        images: Such as the copies of one photo.

    Returns:
        For each image what the windows of its ``centers`` give.
    """
    parts = [(image, level) for image in images for level in range(len(image.pyramid))]
    places = _places(heads, parts)
    inside = places.inside[:, None]
    first = _first_layers(heads, parts, places)
    output = heads.on_windows(
        first.contiguous(memory_format=torch.channels_last),
        None if bool(inside.all()) else shrink(inside, 1).to(first.dtype),
        places.levels,
    )
    border = heads.config.head_depth + heads.kernel_reach
    kept = slice(border, places.rows.shape[1] - border)
    kinds = (
        places.rows[:, kept],
        places.columns[:, kept],
        places.inside[:, kept, kept],
        output.logits[:, 0],
        output.centerness[:, 0],
        output.distances,
        output.features,
        shrink(inside, heads.config.head_depth).to(output.features.dtype),
    )
    shapes = [(len(image.pyramid), len(image.centers)) for image in images]
    counts = [levels * clicks for levels, clicks in shapes]
    return [
        WindowOutput(*(kind.unflatten(0, shape) for kind in own))
        for shape, own in zip(shapes, zip(*(torch.split(k, counts) for k in kinds), strict=True), strict=True)
    ]


def _places(heads: OneClickHeads, parts: Sequence[tuple[ClickedImage, int]]) -> _Places:
    """The windows of the clicks of each image and level."""
    margin = click_reach(heads) + heads.config.head_depth + heads.kernel_reach
    sizes = [image.pyramid[level].shape[-2:] for image, level in parts]
    clicked = [
        [cell_of(x, y, STRIDES[level], *size) for x, y in image.centers]
        for (image, level), size in zip(parts, sizes, strict=True)
    ]
    counts = [len(own) for own in clicked]
    every = [cell for own in clicked for cell in own]
    device = parts[0][0].pyramid[0].device
    about = torch.tensor(
        [(*size, level) for (_, level), size, n in zip(parts, sizes, counts, strict=True) for _ in range(n)],
        dtype=torch.long,
        device=device,
    ).view(-1, 3)  # N may be 0
    middles = torch.tensor(every, dtype=torch.long, device=device).view(-1, 2, 1)
    reached = middles + torch.arange(-margin, margin + 1, device=device)  # [N, 2, T]
    last = about[:, :2, None] - 1
    nearest = reached.clamp(min=0).minimum(last)
    exists = reached == nearest
    return _Places(
        clicked=every,
        counts=counts,
        levels=about[:, 2],
        rows=reached[:, 0],
        columns=reached[:, 1],
        inside=exists[:, 0, :, None] & exists[:, 1, None],
        cells=nearest[:, 0, :, None] * about[:, 1, None, None] + nearest[:, 1, None],
    )


def _first_layers(heads: OneClickHeads, parts: Sequence[tuple[ClickedImage, int]], places: _Places) -> Tensor:
    """What the towers' first layers give in all windows, ``[N, 2 C', T - 2, T - 2]``."""
    first = torch.cat(_click_free(heads, parts, places))
    if not heads.config.click_embedding:
        return first
    alone = all(len(group) == 1 for image, _ in parts for group in image.groups)
    middle = places.rows.shape[1] // 2
    half = LONE_CLICK_REACH if alone else middle
    reached = shrink(first, middle - half)  # of which it is a view
    inside = shrink(places.inside[:, None], middle - half).to(first.dtype)
    if alone:
        reached += heads.lone_click_layers(inside, places.levels)
        return first
    clicked = iter(places.clicked)
    windows = zip(
        parts, places.counts, torch.split(reached, places.counts), torch.split(inside, places.counts),
        strict=True,
    )  # fmt: skip
    for (image, level), count, target, within in windows:
        clicks = _click_windows(image, level, list(islice(clicked, count)), half)
        target += heads.click_layers(clicks.to(first), within, level)
    return first


def _click_free(
    heads: OneClickHeads, parts: Sequence[tuple[ClickedImage, int]], places: _Places
) -> list[Tensor]:
    """The same of each image and level, before clicks add to it."""
    kept = [image.first[level] for image, level in parts]
    cells, inside = (torch.split(part, places.counts) for part in (places.cells, places.inside))
    windows = [
        _gathered(image.pyramid[level], own) * within[:, None]
        for (image, level), own, within, known in zip(parts, cells, inside, kept, strict=True)
        if known is None
    ]
    fresh: Iterator[Tensor] = iter(())
    if windows:
        computed = heads.first_layers(torch.cat(windows), padding=0)
        fresh = iter(torch.split(computed, [len(part) for part in windows]))
    return [
        next(fresh) if known is None else _gathered(known, shrink(own, 1))
        for own, known in zip(cells, kept, strict=True)
    ]


def _gathered(feature: Tensor, cells: Tensor) -> Tensor:
    """Windows ``[J, C, T, T]`` of a map ``[C, H, W]``, given by cells ``[J, T, T]`` of the flat map."""
    # whole cells, which lie together in a map that is channels-last: a view, and gathered fast
    rows_last = feature.permute(1, 2, 0).reshape(-1, len(feature))  # [HW, C]
    return rows_last.index_select(0, cells.flatten()).view(*cells.shape, len(feature)).permute(0, 3, 1, 2)


def _click_windows(image: ClickedImage, level: int, clicked: Sequence[tuple[int, int]], half: int) -> Tensor:
    """Click maps ``[J, 1, 2 half + 3, …]`` of each window's group, around the window's own clicked cell."""
    height, width = image.pyramid[level].shape[-2:]
    side = 2 * half + 3
    clicks = torch.zeros(len(clicked), 1, side, side)
    for index, group in enumerate(own for own in image.groups for _ in own):
        for x, y in group:
            row, column = cell_of(x, y, STRIDES[level], height, width)
            r, c = row - clicked[index][0] + half + 1, column - clicked[index][1] + half + 1
            if 0 <= r < side and 0 <= c < side:
                clicks[index, 0, r, c] = 1
    return clicks


def cell_of(x: float, y: float, stride: int, height: int, width: int) -> tuple[int, int]:
    """(row, column) of the cell that holds a point given in pixels, clamped to the map."""
    return min(max(int(y // stride), 0), height - 1), min(max(int(x // stride), 0), width - 1)
