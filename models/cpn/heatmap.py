"""Heatmaps: the training target, and clicks out of a predicted one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from models.cpn.model import HEATMAP_STRIDE
from models.ids import Proposal
from toolkit.errors import InputError


def heatmap_target(centers: Sequence[tuple[float, float, float]], height: int, width: int) -> Tensor:
    """Gaussians at the objects' centres, merged by maximum, exactly 1 in the centre cells.

    Args:
        centers: (x, y, diameter) in pixels; the diameter is the smaller side of the object's mask.
        height: Of the heatmap, cells.
        width: Of the heatmap, cells.

    Returns:
        float32 ``[height, width]``.

    Source: CenterNet (Zhou et al., 2019), with σ = diameter / 6 (CornerNet's code), the diameter as SimpSON
    (section 3.2) chooses it.
    """
    target = torch.zeros(height, width)
    rows = torch.arange(height, dtype=torch.float32)[:, None]
    columns = torch.arange(width, dtype=torch.float32)[None]
    for x, y, diameter in centers:
        row = min(max(int(y // HEATMAP_STRIDE), 0), height - 1)
        column = min(max(int(x // HEATMAP_STRIDE), 0), width - 1)
        sigma = max(diameter / HEATMAP_STRIDE / 6, 1e-3)
        gaussian = torch.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2))
        target = torch.maximum(target, gaussian)
        target[row, column] = 1
    return target


def find_peaks(heatmap: Tensor, window: int, threshold: float, limit: int = 1000) -> list[Proposal]:
    """Cells that are the maximum of their window and reach a confidence, best first.

    Args:
        heatmap: ``[H, W]`` confidences 0–1 at stride 4.
        window: Side of the window in cells; odd.
        threshold: Lowest confidence.
        limit: Most peaks returned.

    Source: SimpSON, section 3.2 (s × s window, τ).
    """
    if window < 1 or window % 2 == 0:
        raise InputError(f"window: expected an odd number of cells, got {window}")
    highest = F.max_pool2d(heatmap[None, None], window, stride=1, padding=window // 2)[0, 0]
    rows, columns = ((heatmap == highest) & (heatmap >= threshold)).nonzero(as_tuple=True)
    confidence = heatmap[rows, columns]
    order = torch.argsort(confidence, descending=True, stable=True)[:limit]
    center = HEATMAP_STRIDE / 2
    return [
        Proposal(
            columns[i].item() * HEATMAP_STRIDE + center,
            rows[i].item() * HEATMAP_STRIDE + center,
            confidence[i].item(),
        )
        for i in order
    ]
