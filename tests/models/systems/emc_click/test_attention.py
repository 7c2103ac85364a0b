"""Equations 5 and 6 of EMC-Click."""

from __future__ import annotations

import math

import pytest
import torch

from models.systems.emc_click.attention import ClickGuidedSelfAttention


def identity_attention(channels: int, heads: int) -> ClickGuidedSelfAttention:
    module = ClickGuidedSelfAttention(channels, heads)
    with torch.no_grad():
        for layer in (module.query, module.key, module.value, module.output):
            layer.weight.copy_(torch.eye(channels))
            layer.bias.zero_()
    return module


def test_one_head_by_hand() -> None:
    tokens = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    templates = torch.tensor([[[2.0, 0.0], [0.0, 4.0]]])
    found = identity_attention(2, 1)(tokens, templates, torch.ones(1, 2, dtype=torch.bool))
    # token 0: products 2 and 0 over √2; token 1: both 0, so the mean of the templates
    weight = math.exp(math.sqrt(2)) / (math.exp(math.sqrt(2)) + 1)
    assert found[0, 0].tolist() == pytest.approx([1 + 2 * weight, 4 * (1 - weight)])
    assert found[0, 1].tolist() == pytest.approx([1.0, 2.0])


def test_absent_templates_are_not_attended_to() -> None:
    tokens = torch.tensor([[[1.0, 0.0]], [[1.0, 3.0]]])
    templates = torch.tensor([[[2.0, 0.0], [7.0, 7.0]], [[5.0, 5.0], [6.0, 6.0]]])
    valid = torch.tensor([[True, False], [False, False]])
    found = identity_attention(2, 2)(tokens, templates, valid)
    assert found[0, 0].tolist() == [3.0, 0.0]
    assert found[1, 0].tolist() == [1.0, 3.0]  # no template at all: F_u as it was


def test_many_heads_as_torch_computes_them() -> None:
    torch.manual_seed(0)
    module = ClickGuidedSelfAttention(8, 4)
    reference = torch.nn.MultiheadAttention(8, 4, batch_first=True)
    with torch.no_grad():
        layers = (module.query, module.key, module.value)
        reference.in_proj_weight.copy_(torch.cat([layer.weight for layer in layers]))
        reference.in_proj_bias.copy_(torch.cat([layer.bias for layer in layers]))
        reference.out_proj.load_state_dict(module.output.state_dict())
    tokens, templates = torch.randn(2, 30, 8), torch.randn(2, 5, 8)
    valid = torch.tensor([[True] * 5, [True, True, False, True, False]])
    expected = tokens + reference(tokens, templates, templates, key_padding_mask=~valid)[0]
    torch.testing.assert_close(module(tokens, templates, valid), expected)
