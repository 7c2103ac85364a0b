"""The kernel bank: what it mixes, what it costs, and that it is off by default."""

from __future__ import annotations

import pytest
import torch

from models.losses import dice_loss
from models.one_click import criterion
from models.one_click.criterion import CriterionConfig, OneClickCriterion, Targets
from models.one_click.dynamic_masks import dynamic_masks
from models.one_click.kernel_bank import PATHS, mixed_kernels
from models.one_click.model import OneClickModel, click_maps_of
from tests.helpers.networks import one_click_config, random_one_click


def test_off_it_adds_no_parameter_and_on_exactly_169() -> None:
    plain, bank = OneClickModel(one_click_config()), OneClickModel(one_click_config(kernel_bank=True))
    added = set(bank.state_dict()) - set(plain.state_dict())
    assert added == {"heads.static_kernels"}
    assert set(plain.state_dict()) <= set(bank.state_dict())
    assert bank.state_dict()["heads.static_kernels"].shape == (169,)


def test_paths_and_weights_are_those_of_entity_segmentation() -> None:
    assert [PATHS[path] for path in ("111", "110", "101", "100")] == [1, 1, 1, 1]
    assert [PATHS[path] for path in ("011", "010", "001")] == [0.25, 0.25, 0.25]
    assert len(PATHS) == 7


def test_a_path_takes_each_layer_from_where_it_says() -> None:
    dynamic, static = torch.ones(2, 169), torch.zeros(169)
    # layers of 88, 72 and 9 numbers: (10 · 8 + 8), (8 · 8 + 8), (8 + 1)
    assert mixed_kernels(dynamic, static, "111").sum(1).tolist() == [169, 169]
    assert mixed_kernels(dynamic, static, "100").sum(1).tolist() == [88, 88]
    assert mixed_kernels(dynamic, static, "010").sum(1).tolist() == [72, 72]
    assert mixed_kernels(dynamic, static, "001").sum(1).tolist() == [9, 9]
    assert mixed_kernels(dynamic, static, "100")[:, :88].sum() == 176


def losses_of(network: OneClickModel) -> dict[str, torch.Tensor]:
    truth = torch.zeros(1, 16, 16, dtype=torch.uint8)
    truth[0, 4:8, 4:8] = 1
    boxes, centers = torch.tensor([[16.0, 16.0, 32.0, 32.0]]), torch.tensor([[24.0, 24.0]])
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    output = network(pixels, click_maps_of([[(24.0, 24.0)]], 64, 64))
    config = CriterionConfig(masks_per_image=1000, masks_per_object=1000)
    return OneClickCriterion(config)(network, output, [Targets(boxes, centers, truth)])


def test_the_loss_is_the_weighted_sum_over_the_paths() -> None:
    bank = random_one_click(kernel_bank=True)
    generator = torch.Generator().manual_seed(2)
    features, kernels = torch.randn(8, 6, 7, generator=generator), torch.randn(3, 169, generator=generator)
    place = (torch.tensor([[4.0, 8.0], [12.0, 8.0], [20.0, 20.0]]), torch.tensor([32.0, 32.0, 64.0]))
    truth = (torch.rand(3, 6, 7, generator=generator) > 0.5).float()
    static = bank.heads.static_kernels
    assert static is not None
    expected = torch.zeros(3)
    for digits, weight in (("111", 1), ("110", 1), ("101", 1), ("100", 1)):
        expected += weight * _dice_of(features, kernels, static, digits, place, truth)
    for digits in ("011", "010", "001"):
        expected += 0.25 * _dice_of(features, kernels, static, digits, place, truth)
    got = criterion._losses_of_paths(features, kernels, place, truth, static)
    torch.testing.assert_close(got, expected)


def _dice_of(features, kernels, static, digits, place, truth) -> torch.Tensor:
    mixed = kernels.clone()
    for digit, (start, end) in zip(digits, ((0, 88), (88, 160), (160, 169)), strict=True):
        if digit == "0":
            mixed[:, start:end] = static[start:end]
    return dice_loss(dynamic_masks(features, mixed, *place).sigmoid(), truth)


def test_the_static_kernels_learn_and_inference_does_not_use_them() -> None:
    bank = random_one_click(kernel_bank=True)
    losses_of(bank)["total"].backward()
    static = bank.heads.static_kernels
    assert static is not None
    assert static.grad is not None
    assert all(part.abs().sum() > 0 for part in torch.split(static.grad, [88, 72, 9]))
    plain = random_one_click()
    plain.load_state_dict(bank.state_dict(), strict=False)
    with torch.no_grad():
        pixels = torch.rand(1, 3, 64, 64) * 255
        for one, other in zip(bank(pixels).levels, plain(pixels).levels, strict=True):
            assert torch.equal(one.logits, other.logits)


@pytest.mark.parametrize(("in_all", "expected"), [(None, 12), (6, 3), (1, 1)])
def test_a_batch_shares_its_limit_of_masks(monkeypatch: pytest.MonkeyPatch, in_all, expected: int) -> None:
    limits = []

    def remember(groups: torch.Tensor, most: int) -> torch.Tensor:
        limits.append(most)
        return torch.arange(len(groups))

    monkeypatch.setattr(criterion, "at_most", remember)
    network = random_one_click()
    target = Targets(
        torch.tensor([[16.0, 16.0, 32.0, 32.0]]), torch.tensor([[24.0, 24.0]]), torch.ones(1, 16, 16)
    )
    output = network(torch.rand(2, 3, 64, 64) * 255)
    config = CriterionConfig(masks_per_object=16, masks_per_image=12, masks_in_all=in_all)
    OneClickCriterion(config)(network, output, [target, target])
    assert limits == [16, expected]  # of an object, then of a picture
