from __future__ import annotations

import pytest
import torch

from models.systems.icmformer.head import HierarchicalHead, level
from toolkit.errors import InputError


@pytest.mark.parametrize(("stride", "side"), [(4, 24), (8, 12), (16, 6), (32, 3)])
def test_a_level_has_its_stride(stride: int, side: int) -> None:
    assert level(8, 5, 16, stride)(torch.randn(2, 8, 6, 6)).shape == (2, 5, side, side)


def test_published_levels_have_the_parameters_of_vitdet_s() -> None:
    """By hand, for ViT-B: transposed 2×2 convolutions that halve the width, group norms, 1×1 convolutions."""
    counts = {
        stride: sum(p.numel() for p in level(768, channels, 16, stride).parameters())
        for stride, channels in ((4, 128), (8, 256), (16, 512), (32, 1024))
    }
    up = 768 * 384 * 4 + 384 + 2 * 384
    assert counts[8] == up + 384 * 256 + 256 + 2 * 256
    assert counts[4] == up + 384 * 192 * 4 + 192 + 2 * 192 + 192 * 128 + 128 + 2 * 128
    assert counts[16] == 768 * 512 + 512 + 2 * 512
    assert counts[32] == 768 * 1536 * 4 + 1536 + 2 * 1536 + 1536 * 1024 + 1024 + 2 * 1024


def test_the_head_answers_at_its_finest_stride() -> None:
    head = HierarchicalHead(8, 8, (4, 8, 16), (3, 4, 5), 6, 0.1).eval()
    assert head(torch.randn(2, 8, 4, 6)).shape == (2, 1, 8, 12)


def test_strides_out_of_reach_are_refused() -> None:
    with pytest.raises(InputError, match="strides"):
        level(8, 5, 16, 2)
    with pytest.raises(InputError, match="level_channels"):
        HierarchicalHead(8, 8, (4, 8), (3,), 6, 0.1)
