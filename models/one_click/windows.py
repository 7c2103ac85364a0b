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

from models.one_click.heads import LevelOutput, OneClickHeads
from models.one_click.layers import shrink
from models.pyramid import STRIDES

Point = tuple[float, float]

# Cells around a lone click in which the first layers read its embedding, which reaches a cell itself.
LONE_CLICK_REACH = 3


@dataclass(frozen=True)
class WindowOutput:
    """Head outputs of one level around J clicks.

    Attributes:
        level: 0–3 for P2–P5.
        rows: long ``[J, S]``, the map rows of each window's cells; outside the map where out of range.
        columns: long ``[J, S]``.
        inside: bool ``[J, S, S]``, which cells lie in the map.
        logits: ``[J, S, S]``.
        centerness: ``[J, S, S]``, before the sigmoid.
        distances: ``[J, 4, S, S]`` in strides.
        features: ``[J, C, S + 2 k, S + 2 k]`` box-tower features, k the kernel head's reach.
        features_inside: ``[J, 1, S + 2 k, S + 2 k]``.
    """

    level: int
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
    """Where J windows of one level lie, with a border of one cell that the first layers read.

    Attributes:
        cells: (row, column) of each click.
        rows: long ``[J, T]``, cells of the map; outside it where out of range.
        columns: long ``[J, T]``.
        inside: bool ``[J, T, T]``, which cells lie in the map.
    """

    cells: list[tuple[int, int]]
    rows: Tensor
    columns: Tensor
    inside: Tensor


def run_windows(heads: OneClickHeads, images: Sequence[ClickedImage]) -> list[list[WindowOutput]]:
    """Heads around clicks on all levels: what full passes with each click's group in the click map give.

    The levels share the heads, and all windows have one size, so those of all images are one batch.

    Args:
        heads: The detection and kernel heads, in evaluation mode with BatchNorm.
        images: Such as the copies of one photo.

    Returns:
        For each image its levels, whose windows are those of its ``centers``.
    """
    parts = [(image, level) for image in images for level in range(len(image.pyramid))]
    places = _places(heads, parts)
    counts = [len(own.cells) for own in places]
    levels = torch.tensor(
        [level for (_, level), count in zip(parts, counts, strict=True) for _ in range(count)],
        dtype=torch.long,
        device=places[0].inside.device,
    )
    inside = torch.cat([own.inside for own in places])[:, None]
    first = _first_layers(heads, parts, places, inside, levels)
    output = heads.on_windows(
        first.contiguous(memory_format=torch.channels_last), shrink(inside, 1).to(first.dtype), levels
    )
    kinds = (output.logits, output.distances, output.centerness, output.features)
    outputs = zip(*(torch.split(kind, counts) for kind in kinds), strict=True)
    trimmed = iter(
        [
            _trimmed(LevelOutput(*own), heads, level, place)
            for (_, level), place, own in zip(parts, places, outputs, strict=True)
        ]
    )
    return [list(islice(trimmed, len(image.pyramid))) for image in images]


def _places(heads: OneClickHeads, parts: Sequence[tuple[ClickedImage, int]]) -> list[_Places]:
    """The windows of the clicks of each image and level."""
    margin = click_reach(heads) + heads.config.head_depth + heads.kernel_reach
    sizes = [image.pyramid[level].shape[-2:] for image, level in parts]
    cells = [
        [cell_of(x, y, STRIDES[level], *size) for x, y in image.centers]
        for (image, level), size in zip(parts, sizes, strict=True)
    ]
    counts = [len(own) for own in cells]
    device = parts[0][0].pyramid[0].device
    every = torch.tensor([cell for own in cells for cell in own], dtype=torch.long, device=device)
    limits = torch.tensor(sizes, dtype=torch.long, device=device).repeat_interleave(
        torch.tensor(counts, device=device), 0
    )
    # [N, 2, T]; N may be 0
    reached = every.view(-1, 2, 1) + torch.arange(-margin, margin + 1, device=device)
    exists = (reached >= 0) & (reached < limits[:, :, None])
    inside = exists[:, 0, :, None] & exists[:, 1, None]  # [N, T, T]
    split = (torch.split(part, counts) for part in (reached[:, 0], reached[:, 1], inside))
    return [_Places(*own) for own in zip(cells, *split, strict=True)]


def _first_layers(
    heads: OneClickHeads,
    parts: Sequence[tuple[ClickedImage, int]],
    places: Sequence[_Places],
    inside: Tensor,
    levels: Tensor,
) -> Tensor:
    """What the towers' first layers give in all windows, ``[N, 2 C', T - 2, T - 2]``.

    Args:
        heads: The heads.
        parts: Images and levels.
        places: Their windows.
        inside: bool ``[N, 1, T, T]``, which cells of all windows lie in the map.
        levels: long ``[N]``, of all windows.
    """
    first = torch.cat(_click_free(heads, parts, places))
    if not heads.config.click_embedding:
        return first
    alone = all(len(group) == 1 for image, _ in parts for group in image.groups)
    middle = places[0].rows.shape[1] // 2
    half = LONE_CLICK_REACH if alone else middle
    reached = shrink(first, middle - half)  # of which it is a view
    inside = shrink(inside, middle - half).to(first.dtype)
    if alone:
        reached += heads.lone_click_layers(inside, levels)
        return first
    counts = [len(own.cells) for own in places]
    windows = zip(parts, places, torch.split(reached, counts), torch.split(inside, counts), strict=True)
    for (image, level), own, target, within in windows:
        target += heads.click_layers(_click_windows(image, level, own, half).to(first), within, level)
    return first


def _click_free(
    heads: OneClickHeads, parts: Sequence[tuple[ClickedImage, int]], places: Sequence[_Places]
) -> list[Tensor]:
    """The same of each image and level, before clicks add to it."""
    kept = [image.first[level] for image, level in parts]
    windows = [
        _gathered(image.pyramid[level], own.rows, own.columns) * own.inside[:, None]
        for (image, level), own, known in zip(parts, places, kept, strict=True)
        if known is None
    ]
    fresh: Iterator[Tensor] = iter(())
    if windows:
        computed = heads.first_layers(torch.cat(windows), padding=0)
        fresh = iter(torch.split(computed, [len(part) for part in windows]))
    return [
        next(fresh) if known is None else _gathered(known, own.rows[:, 1:-1], own.columns[:, 1:-1])
        for own, known in zip(places, kept, strict=True)
    ]


def _gathered(feature: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Windows ``[J, C, T, T]`` of a map ``[C, H, W]``; cells outside repeat the border's."""
    channels, height, width = feature.shape
    cells = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None]  # [J, T, T]
    # whole cells, which lie together in a map that is channels-last: a view, and gathered fast
    found = feature.permute(1, 2, 0).reshape(-1, channels).index_select(0, cells.flatten())
    return found.view(*cells.shape, channels).permute(0, 3, 1, 2)


def _click_windows(image: ClickedImage, level: int, places: _Places, half: int) -> Tensor:
    """Click maps ``[J, 1, 2 half + 3, …]`` of each window's group, around the window's own click."""
    height, width = image.pyramid[level].shape[-2:]
    side = 2 * half + 3
    clicks = torch.zeros(len(places.cells), 1, side, side)
    for index, group in enumerate(own for own in image.groups for _ in own):
        for x, y in group:
            row, column = cell_of(x, y, STRIDES[level], height, width)
            r, c = row - places.cells[index][0] + half + 1, column - places.cells[index][1] + half + 1
            if 0 <= r < side and 0 <= c < side:
                clicks[index, 0, r, c] = 1
    return clicks


def _trimmed(output: LevelOutput, heads: OneClickHeads, level: int, places: _Places) -> WindowOutput:
    """The outputs of one level's windows, in the cells within reach of the click."""
    border = heads.config.head_depth + heads.kernel_reach
    kept = slice(border, places.rows.shape[1] - border)
    return WindowOutput(
        level=level,
        rows=places.rows[:, kept],
        columns=places.columns[:, kept],
        inside=places.inside[:, kept, kept],
        logits=output.logits[:, 0],
        centerness=output.centerness[:, 0],
        distances=output.distances,
        features=output.features,
        features_inside=shrink(places.inside[:, None].to(output.features.dtype), heads.config.head_depth),
    )


def cell_of(x: float, y: float, stride: int, height: int, width: int) -> tuple[int, int]:
    """(row, column) of the cell that holds a point given in pixels, clamped to the map."""
    return min(max(int(y // stride), 0), height - 1), min(max(int(x // stride), 0), width - 1)
