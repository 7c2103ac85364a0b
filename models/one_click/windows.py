"""Small windows of the pyramid around clicks: all that a click can change.

Every layer of the heads is local at inference, so a click alters only cells within the heads' reach. The rest
is computed once per image; the windows are recomputed exactly, many clicks in one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from models.one_click.heads import LevelOutput, OneClickHeads
from models.one_click.layers import shrink
from models.pyramid import STRIDES

Point = tuple[float, float]


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
class _Cut:
    """Windows of one level.

    ``rows`` and ``columns`` (long ``[J, T]``) are cells of the map, ``inside`` (bool ``[J, T, T]``) says
    which exist; ``inputs`` (``[J, C, T, T]``) are click-embedded, zero outside the map.
    """

    rows: Tensor
    columns: Tensor
    inside: Tensor
    inputs: Tensor


@dataclass(frozen=True)
class ClickedImage:
    """An image and what is clicked in it.

    Attributes:
        pyramid: P2–P5, ``[C, H, W]`` each.
        groups: For each object, its clicks (x, y) in pixels; each group is clicked alone.
    """

    pyramid: Sequence[Tensor]
    groups: Sequence[Sequence[Point]]

    @property
    def centers(self) -> list[Point]:
        """All clicks, group after group; each gets a window."""
        return [point for group in self.groups for point in group]


def run_windows(heads: OneClickHeads, images: Sequence[ClickedImage]) -> list[list[WindowOutput]]:
    """Heads around clicks on all levels: what full passes with each click's group in the click map give.

    The levels share the heads, and all windows have one size, so those of all images are one batch.

    Args:
        heads: The detection and kernel heads, in evaluation mode with BatchNorm.
        images: Such as the copies of one photo.

    Returns:
        For each image its levels, whose windows are those of its ``centers``.
    """
    cuts = [
        (level, _cut(heads, feature, level, image))
        for image in images
        for level, feature in enumerate(image.pyramid)
    ]
    counts = [len(cut.rows) for _, cut in cuts]
    inputs = torch.cat([cut.inputs for _, cut in cuts]).contiguous(memory_format=torch.channels_last)
    inside = torch.cat([cut.inside for _, cut in cuts])[:, None].to(inputs.dtype)  # [N, 1, T, T]
    levels = torch.tensor([level for level, _ in cuts], device=inputs.device)
    levels = levels.repeat_interleave(torch.tensor(counts, device=inputs.device))  # [N]
    output = heads.on_windows(inputs, inside, levels)
    parts = zip(
        *(
            torch.split(part, counts)
            for part in (output.logits, output.distances, output.centerness, output.features)
        ),
        strict=True,
    )
    trimmed = iter(
        [
            _trimmed(LevelOutput(*part), heads, level, cut)
            for (level, cut), part in zip(cuts, parts, strict=True)
        ]
    )
    return [list(islice(trimmed, len(image.pyramid))) for image in images]


def _cut(heads: OneClickHeads, feature: Tensor, level: int, image: ClickedImage) -> _Cut:
    """The inputs of one level's windows."""
    stride, centers = STRIDES[level], image.centers
    height, width = feature.shape[-2:]
    # cells around a click that the inputs need
    margin = click_reach(heads) + heads.config.head_depth + heads.kernel_reach
    device = feature.device
    own_cells = [cell_of(x, y, stride, height, width) for x, y in centers]
    cells = torch.tensor(own_cells, dtype=torch.long, device=device).view(-1, 2)  # [J, 2]; J may be 0
    steps = torch.arange(-margin, margin + 1, device=device)
    rows, columns = cells[:, :1] + steps, cells[:, 1:] + steps  # [J, T]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
    safe_rows, safe_columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    rows_last = feature.permute(1, 2, 0)  # [H, W, C]: gathers whole cells, and convolves channels-last
    windows = rows_last[safe_rows[:, :, None], safe_columns[:, None, :]].permute(0, 3, 1, 2)  # [J, C, T, T]
    valid = inside[:, None].to(feature.dtype)
    clicks = torch.zeros(len(centers), 1, 2 * margin + 3, 2 * margin + 3, device=device, dtype=feature.dtype)
    origins = (cells - margin - 1).tolist()
    for index, group in enumerate(own for own in image.groups for _ in own):
        for x, y in group:
            row, column = cell_of(x, y, stride, height, width)
            r, c = row - origins[index][0], column - origins[index][1]
            if 0 <= r < clicks.shape[2] and 0 <= c < clicks.shape[3]:
                clicks[index, 0, r, c] = 1
    return _Cut(rows, columns, inside, heads.embed_windows(windows * valid, clicks, valid, level))


def _trimmed(output: LevelOutput, heads: OneClickHeads, level: int, cut: _Cut) -> WindowOutput:
    """Cut all outputs to the cells within reach of the click."""
    extra = heads.kernel_reach - 1  # the outputs of 3×3 convolutions on features that are kernel_reach wider
    border = heads.config.head_depth + heads.kernel_reach
    kept = slice(border, cut.rows.shape[1] - border)
    return WindowOutput(
        level=level,
        rows=cut.rows[:, kept],
        columns=cut.columns[:, kept],
        inside=cut.inside[:, kept, kept],
        logits=shrink(output.logits, extra)[:, 0],
        centerness=shrink(output.centerness, extra)[:, 0],
        distances=shrink(output.distances, extra),
        features=output.features,
        features_inside=shrink(cut.inside[:, None].to(output.features.dtype), heads.config.head_depth),
    )


def cell_of(x: float, y: float, stride: int, height: int, width: int) -> tuple[int, int]:
    """(row, column) of the cell that holds a point given in pixels, clamped to the map."""
    return min(max(int(y // stride), 0), height - 1), min(max(int(x // stride), 0), width - 1)
