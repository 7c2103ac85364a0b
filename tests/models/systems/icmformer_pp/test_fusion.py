from __future__ import annotations

import pytest
import torch

from models.systems.icmformer_pp.fusion import ChannelFusion, RecallBlock


def test_channel_fusion_has_the_published_parameters() -> None:
    with torch.device("meta"):
        count = sum(p.numel() for p in ChannelFusion(768).parameters())
    # two 1×1 convolutions from 2 · 768 channels, a depth-wise 3×3 one, a 1×1 one, all with biases
    assert count == 2 * (1536 * 768 + 768) + (768 * 9 + 768) + (768 * 768 + 768)
    assert count == pytest.approx(2.96e6, rel=0.001)  # section 3.4


def test_channel_fusion_by_hand() -> None:
    """One channel, three cells: combine adds both branches, surround adds neighbours, skip subtracts."""
    fusion = ChannelFusion(1)
    with torch.no_grad():
        for layer in (fusion.combine, fusion.surround, fusion.mix, fusion.skip):
            layer.weight.fill_(1.0)
            layer.bias.zero_()
        fusion.skip.weight[0, 1] = -1.0
        fusion.mix.bias.fill_(0.5)
    exemplar = torch.tensor([[[1.0], [2.0], [-9.0]]])
    recall = torch.tensor([[[3.0], [0.0], [1.0]]])
    # combined 4, 2, -8, rectified 4, 2, 0; with neighbours 6, 6, 2; + 0.5; skip -2, 2, -10
    assert fusion(exemplar, recall, (1, 3))[0, :, 0].tolist() == [4.5, 8.5, -7.5]


def test_channel_fusion_keeps_the_grid() -> None:
    fused = ChannelFusion(6)(torch.randn(2, 20, 6), torch.randn(2, 20, 6), (4, 5))
    assert fused.shape == (2, 20, 6)


def test_a_guide_moves_the_queries_alone() -> None:
    torch.manual_seed(0)
    block = RecallBlock(8, 2, 2, 0.1).eval()
    recall, exemplar, guide = torch.randn(1, 5, 8), torch.randn(1, 7, 8), torch.randn(1, 5, 8)
    assert not torch.allclose(block(recall, exemplar, guide), block(recall, exemplar))
    torch.testing.assert_close(block(recall, exemplar, torch.zeros_like(guide)), block(recall, exemplar))
    with torch.no_grad():
        block.attention.out.weight.zero_()  # without an answer, what was asked does not matter
    torch.testing.assert_close(block(recall, exemplar, guide), block(recall, exemplar))
