from __future__ import annotations

import pytest
import torch
from torch import nn

from models.systems.icmformer.blocks import (
    Attention,
    CrossModalityBlock,
    from_windows,
    run_blocks,
    to_windows,
    vit_blocks,
)
from toolkit.errors import InputError


def test_windows_hold_neighbours() -> None:
    tokens = torch.arange(24.0).view(1, 24, 1)  # 4 rows of 6
    windows = to_windows(tokens, (4, 6), 2)
    assert windows[..., 0].tolist() == [
        [0, 1, 6, 7],
        [2, 3, 8, 9],
        [4, 5, 10, 11],
        [12, 13, 18, 19],
        [14, 15, 20, 21],
        [16, 17, 22, 23],
    ]
    assert torch.equal(from_windows(windows, (4, 6), 2), tokens)


def test_only_the_last_block_of_a_group_sees_beyond_its_window() -> None:
    torch.manual_seed(0)
    blocks = [*vit_blocks(1, 8, 2, 2).eval(), nn.Identity()]
    tokens = torch.randn(1, 16, 8)
    changed = tokens.clone()
    changed[0, 0] += torch.randn(8)  # of the first of four windows
    before, after = (run_blocks(blocks, x, (4, 4), 2) for x in (tokens, changed))
    moved = (before - after).abs().amax(2)[0] > 1e-6
    assert moved.nonzero()[:, 0].tolist() == [0, 1, 4, 5]
    whole = [run_blocks(blocks[:1], x, (4, 4), 2) for x in (tokens, changed)]
    assert ((whole[0] - whole[1]).abs().amax(2) > 1e-6).all()
    uneven = [run_blocks(blocks, x, (2, 8), 3) for x in (tokens, changed)]  # 3 divides neither side
    assert ((uneven[0] - uneven[1]).abs().amax(2) > 1e-6).all()


def test_attention_agrees_with_torch_s() -> None:
    torch.manual_seed(1)
    own, other = Attention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        other.in_proj_weight.copy_(torch.cat([own.query.weight, own.key.weight, own.value.weight]))
        other.in_proj_bias.copy_(torch.cat([own.query.bias, own.key.bias, own.value.bias]))
    other.out_proj.load_state_dict(own.out.state_dict())
    asking, asked = torch.randn(2, 5, 12), torch.randn(2, 7, 12)
    expected, _ = other(asking, asked, asked)
    torch.testing.assert_close(own(asking, asked), expected)


def test_attention_by_hand() -> None:
    """One head of one channel, identity maps: query 0 averages values, a large one takes the larger key."""
    attention = Attention(1, 1)
    with torch.no_grad():
        for layer in (attention.query, attention.key, attention.value, attention.out):
            layer.weight.fill_(1)
            layer.bias.zero_()
    found = attention(torch.tensor([[[0.0], [100.0]]]), torch.tensor([[[1.0], [4.0]]]))
    torch.testing.assert_close(found, torch.tensor([[[2.5], [4.0]]]))


@pytest.mark.parametrize("queries", ["image", "clicks"])
def test_the_asking_stream_takes_up_the_answer(queries: str) -> None:
    torch.manual_seed(2)
    block = CrossModalityBlock(8, 2, 2, queries).eval()  # type: ignore[arg-type]
    image, clicks = torch.randn(1, 6, 8), torch.randn(1, 6, 8)
    new_image, new_clicks = block(image, clicks)
    _, other_clicks = block(image + torch.randn(1, 6, 8), clicks)
    if queries == "image":
        assert torch.equal(new_clicks, other_clicks)  # clicks attend to themselves alone
        assert not torch.allclose(new_image, block(image, clicks + torch.randn(1, 6, 8))[0])
    else:
        assert torch.equal(new_image, image)
        assert not torch.allclose(new_clicks, other_clicks)


def test_a_width_must_fit_the_heads() -> None:
    with pytest.raises(InputError, match="multiple of heads"):
        vit_blocks(1, 10, 4, 2)
