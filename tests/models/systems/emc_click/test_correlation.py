"""Equations 7 to 9 of EMC-Click."""

from __future__ import annotations

import torch

from models.systems.emc_click.correlation import ClickGuidedCorrelation, correlation_maps
from models.systems.emc_click.templates import Templates


def test_a_map_is_the_dot_product_with_each_cell() -> None:
    features = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [0.0, -1.0]]])[None]  # [1, 2, 2, 2]
    templates = torch.tensor([[[1.0, 0.0], [2.0, 3.0]]])
    maps = correlation_maps(templates, features)
    assert maps[0, 0].tolist() == [[1, 2], [3, 4]]
    assert maps[0, 1].tolist() == [[2, 7], [6, 5]]


def test_maps_are_those_of_a_convolution_with_the_templates_as_kernels() -> None:
    torch.manual_seed(0)
    templates, features = torch.randn(2, 3, 4), torch.randn(2, 4, 5, 6)
    expected = torch.cat(
        [
            torch.nn.functional.conv2d(one[None], kernels[:, :, None, None])
            for one, kernels in zip(features, templates, strict=True)
        ]
    )
    torch.testing.assert_close(correlation_maps(templates, features), expected)


def chosen_templates(*places: list[int]) -> Templates:
    index = torch.tensor([list(p) for p in places])
    return Templates(index, torch.ones_like(index, dtype=torch.bool))


def test_positive_and_negative_maps_share_a_convolution_and_are_fused() -> None:
    torch.manual_seed(0)
    module = ClickGuidedCorrelation(4, 2).eval()
    features = torch.randn(1, 4, 3, 3)
    tokens = features.flatten(2).transpose(1, 2)
    positive, negative = chosen_templates([0, 5]), chosen_templates([8, 1])
    keys = module.key(features)
    parts = [
        module.shared(correlation_maps(module.query(tokens[:, list(places)]), keys))
        for places in ([0, 5], [8, 1])
    ]
    found = module(features, tokens, [positive, negative])
    torch.testing.assert_close(found, module.fusion(torch.cat(parts, dim=1)))
    assert found.shape == (1, 4, 3, 3)


def test_the_map_of_an_absent_template_is_zero() -> None:
    torch.manual_seed(0)
    module = ClickGuidedCorrelation(4, 2, negative_templates=False).eval()
    features = torch.randn(1, 4, 3, 3)
    tokens = features.flatten(2).transpose(1, 2)
    seen: list[torch.Tensor] = []
    module.shared.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    module(features, tokens, [Templates(torch.tensor([[3, 0]]), torch.tensor([[True, False]]))])
    assert seen[0][0, 0].abs().sum() > 0
    assert seen[0][0, 1].abs().sum() == 0
