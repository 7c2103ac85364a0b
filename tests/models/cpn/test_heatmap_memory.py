"""Heatmaps by exemplars: the least recently used ones go."""

from __future__ import annotations

import torch
from torch import Tensor

from models.cpn.heatmap_memory import HeatmapMemory


def test_the_least_recently_used_heatmap_goes() -> None:
    memory = HeatmapMemory(most=2)
    masks, computed = torch.zeros(1, 4, 6), []

    def ask(x: float) -> Tensor:
        def compute() -> Tensor:
            computed.append(x)
            return torch.full((4, 6), x)

        return memory.get(masks, torch.tensor([[x, 0.0, 8.0, 8.0]]), compute)

    for x in (1.0, 2.0, 1.0, 3.0, 1.0, 2.0):  # 3 drops 2, which was used before 1 was again
        assert ask(x)[0, 0].item() == x
    assert computed == [1.0, 2.0, 3.0, 2.0]
    assert memory.nbytes == 2 * 4 * 6 * 4
