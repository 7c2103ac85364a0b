"""The pyramid-scene-parsing head, which reads the backbone's map and, in multi-stage fusion, the stream's.

Source: Zhao et al., "Pyramid Scene Parsing Network" (2017), section 3.2; multi-stage fusion, section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class JoinedConv(nn.Module):
    """A 1×1 convolution of two maps, equal to one of their concatenation.

    The weights of the second map are a parameter of their own: the late phase of training learns them while
    those of the first are frozen. They start at zero, so that a network trained with early fusion is at first
    unchanged by the stream that joins it.

    Args:
        own: Channels of the first map.
        joined: Of the second map; 0 for none.
        outputs: Of the result.
    """

    def __init__(self, own: int, joined: int, outputs: int) -> None:
        super().__init__()
        self.own = nn.Conv2d(own, outputs, 1, bias=False)
        self.joined: nn.Conv2d | None = None
        if joined:
            self.joined = nn.Conv2d(joined, outputs, 1, bias=False)
            nn.init.zeros_(self.joined.weight)

    def forward(self, own: Tensor, joined: Tensor | None) -> Tensor:
        """Maps ``[B, own, H, W]`` and ``[B, joined, H, W]`` to ``[B, outputs, H, W]``."""
        result = self.own(own)
        return result if self.joined is None or joined is None else result + self.joined(joined)


class PooledBranch(nn.Module):
    """Maps pooled to a grid, convolved, and brought back to their size."""

    def __init__(self, own: int, joined: int, outputs: int, cells: int) -> None:
        super().__init__()
        self.cells = cells
        self.conv = JoinedConv(own, joined, outputs)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, own: Tensor, joined: Tensor | None) -> Tensor:
        """Maps ``[B, own, H, W]`` and ``[B, joined, H, W]`` to ``[B, outputs, H, W]``."""
        second = None if joined is None else F.adaptive_avg_pool2d(joined, self.cells)
        x = self.conv(F.adaptive_avg_pool2d(own, self.cells), second)  # [B, outputs, cells, cells]
        x = torch.relu(self.norm(x))
        return F.interpolate(x, size=own.shape[-2:], mode="bilinear", align_corners=False)


class PyramidHead(nn.Module):
    """Pooled context at several scales beside the maps themselves, merged, and one logit per cell.

    Args:
        own: Channels of the backbone's map.
        joined: Of the stream's map; 0 without one.
        bins: Cells per side of each pooled map.
        branch: Channels of each pooled map.
        outputs: Of the merged map.
    """

    def __init__(self, own: int, joined: int, bins: Sequence[int], branch: int, outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(PooledBranch(own, joined, branch, cells) for cells in bins)
        self.merge = JoinedConv(own + branch * len(bins), joined, outputs)
        self.norm = nn.BatchNorm2d(outputs)
        self.classify = nn.Conv2d(outputs, 1, 1)

    def forward(self, own: Tensor, joined: Tensor | None) -> Tensor:
        """Logits ``[B, 1, H, W]`` of maps ``[B, own, H, W]`` and ``[B, joined, H, W]``."""
        seen = torch.cat([own, *(branch(own, joined) for branch in self.branches)], dim=1)
        return self.classify(torch.relu(self.norm(self.merge(seen, joined))))
