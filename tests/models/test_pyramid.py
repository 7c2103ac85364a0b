"""The feature pyramid, with weights that let values be followed by hand."""

from __future__ import annotations

import torch
from torch import nn

from models.pyramid import FeaturePyramid


def test_levels_are_sums_of_what_lies_above() -> None:
    pyramid = FeaturePyramid([1, 1, 1, 1], 1)
    for conv in [*pyramid.lateral, *pyramid.output]:
        nn.init.dirac_(conv.weight)
        nn.init.zeros_(conv.bias)
    maps = [
        torch.zeros(1, 1, 16, 8),
        torch.zeros(1, 1, 8, 4),
        torch.zeros(1, 1, 4, 2),
        torch.zeros(1, 1, 2, 1),
    ]
    maps[3][0, 0, 1, 0], maps[2][0, 0, 0, 1], maps[0][0, 0, 0, 0] = 1, 10, 100
    p2, p3, p4, p5 = pyramid(maps)
    assert torch.equal(p5, maps[3])
    assert p4[0, 0].tolist() == [[0, 10], [0, 0], [1, 1], [1, 1]]
    assert p3[0, 0, :2].tolist() == [[0, 0, 10, 10]] * 2
    assert (p3[0, 0, 4:] == 1).all()
    assert p2[0, 0, 0].tolist() == [100, 0, 0, 0, 10, 10, 10, 10]
    assert p2.sum() == 100 + 16 * 10 + 64 * 1
