"""The mask refiner's network."""

from __future__ import annotations

import pytest
import torch

from models.folding import fold_batch_norm
from models.refiner import RefinerConfig, RefinerModel
from models.refiner.model import PRIOR_LIMIT
from tests.helpers.networks import random_refiner, settle_norms
from toolkit.errors import InputError


def inputs(size: int = 32, count: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, size, size), generator=draw).float()
    prior = torch.randn(count, 1, size, size, generator=draw) * 3
    return pixels, prior, torch.rand(count, 1, size, size, generator=draw)


def test_an_untrained_network_leaves_masks_as_they_were() -> None:
    pixels, prior, clicks = inputs()
    refined = random_refiner(trained=False)(pixels, prior, clicks)
    limited = prior[:, 0].clamp(-PRIOR_LIMIT, PRIOR_LIMIT)
    blocks = limited.reshape(3, 16, 2, 16, 2).mean((2, 4))
    torch.testing.assert_close(refined.logits, blocks)
    assert refined.quality.shape == (3,)


def test_every_input_tells() -> None:
    network = random_refiner()
    given = inputs()
    before = network(*given)
    for index in range(3):
        changed = list(given)
        changed[index] = given[index].flip(-1)
        after = network(*changed)
        assert (after.logits - before.logits).abs().max() > 1e-4
        assert (after.quality - before.quality).abs().max() > 1e-6


def test_what_is_trained_gets_gradients() -> None:
    network = random_refiner().train()
    refined = network(*inputs())
    (refined.logits.square().sum() + refined.quality.sum()).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_sides_that_strides_do_not_divide() -> None:
    refined = random_refiner()(*inputs(size=48))
    assert refined.logits.shape == (3, 24, 24)


def test_folding_keeps_the_answers() -> None:
    network, given = random_refiner(), inputs()
    settle_norms(network, *given)
    expected = network(*given)
    fold_batch_norm(network)
    found = network(*given)
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.quality, expected.quality, atol=1e-4, rtol=1e-4)


def test_a_backbone_that_takes_no_mask() -> None:
    with pytest.raises(InputError, match=r"model\.backbone: 'resnet'"):
        RefinerModel(RefinerConfig(backbone="resnet"))


@pytest.mark.parametrize("crop", [0, 100])
def test_a_crop_that_strides_do_not_divide(crop: int) -> None:
    with pytest.raises(InputError, match=rf"model\.crop: expected a multiple of 16, got {crop}"):
        random_refiner(crop=crop)
