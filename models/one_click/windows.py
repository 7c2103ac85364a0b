"""Small windows of the pyramid around clicks: all that a click can change.

Every layer of the heads is local at inference, so a click alters only cells within the heads' reach. The rest
is computed once per image; the windows are recomputed exactly, many clicks in one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.one_click.heads import LevelOutput, OneClickHeads
from models.one_click.layers import shrink
from models.pyramid import STRIDES


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


def run_windows(
    heads: OneClickHeads,
    feature: Tensor,
    level: int,
    centers: Sequence[tuple[float, float]],
    groups: Sequence[Sequence[tuple[float, float]]],
) -> WindowOutput:
    """Heads around J clicks on one level, as a full pass with each click's group in the click map would give.

    Args:
        heads: The detection and kernel heads, in evaluation mode with BatchNorm.
        feature: ``[C, H, W]``, the level's features.
        level: 0–3.
        centers: (x, y) in pixels, one window each.
        groups: For each window, all clicks (x, y) of its click map.
    """
    stride = STRIDES[level]
    height, width = feature.shape[-2:]
    reach = click_reach(heads)
    margin = reach + heads.config.head_depth + heads.kernel_reach  # cells around a click that the inputs need
    device = feature.device
    cells = torch.tensor([cell_of(x, y, stride, height, width) for x, y in centers], device=device)  # [J, 2]
    steps = torch.arange(-margin, margin + 1, device=device)
    rows, columns = cells[:, :1] + steps, cells[:, 1:] + steps  # [J, T]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
    safe_rows, safe_columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    rows_last = feature.permute(1, 2, 0)  # [H, W, C]: gathers whole cells, and convolves channels-last
    windows = rows_last[safe_rows[:, :, None], safe_columns[:, None, :]].permute(0, 3, 1, 2)  # [J, C, T, T]
    valid = inside[:, None].to(feature.dtype)
    clicks = torch.zeros(len(centers), 1, 2 * margin + 3, 2 * margin + 3, device=device, dtype=feature.dtype)
    origins = (cells - margin - 1).tolist()
    for index, group in enumerate(groups):
        for x, y in group:
            row, column = cell_of(x, y, stride, height, width)
            r, c = row - origins[index][0], column - origins[index][1]
            if 0 <= r < clicks.shape[2] and 0 <= c < clicks.shape[3]:
                clicks[index, 0, r, c] = 1
    if heads.config.click_embedding:
        output = heads.on_windows(windows * valid, clicks, valid, level)
    else:
        output = heads.on_windows_without_clicks(windows * valid, valid, level)
    return _trimmed(output, heads, level, rows, columns, inside)


def _trimmed(
    output: LevelOutput, heads: OneClickHeads, level: int, rows: Tensor, columns: Tensor, inside: Tensor
) -> WindowOutput:
    """Cut all outputs to the cells within reach of the click."""
    extra = heads.kernel_reach - 1  # the outputs of 3×3 convolutions on features that are kernel_reach wider
    border = heads.config.head_depth + heads.kernel_reach
    kept = slice(border, rows.shape[1] - border)
    return WindowOutput(
        level=level,
        rows=rows[:, kept],
        columns=columns[:, kept],
        inside=inside[:, kept, kept],
        logits=shrink(output.logits, extra)[:, 0],
        centerness=shrink(output.centerness, extra)[:, 0],
        distances=shrink(output.distances, extra),
        features=output.features,
        features_inside=shrink(inside[:, None].to(output.features.dtype), heads.config.head_depth),
    )


def cell_of(x: float, y: float, stride: int, height: int, width: int) -> tuple[int, int]:
    """(row, column) of the cell that holds a point given in pixels, clamped to the map."""
    return min(max(int(y // stride), 0), height - 1), min(max(int(x // stride), 0), width - 1)
