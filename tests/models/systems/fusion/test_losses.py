from __future__ import annotations

import math

import pytest
import torch

from models.systems.fusion.losses import class_balanced_bce

LN2, LN4 = math.log(2), math.log(4)


def test_both_classes_weigh_the_same() -> None:
    # one pixel of the object with probability 1/4, three of the background with probability 1/2
    logits = torch.tensor([[math.log(1 / 3), 0.0], [0.0, 0.0]])[None, None]
    target = torch.tensor([[1.0, 0.0], [0.0, 0.0]])[None, None]
    # weights 4 / (2 · 1) and 4 / (2 · 3), mean over 4 pixels: (2 ln 4 + 3 · 2/3 ln 2) / 4
    assert class_balanced_bce(logits, target).item() == pytest.approx((2 * LN4 + 2 * LN2) / 4)


def test_frequencies_are_those_of_the_batch() -> None:
    logits = torch.zeros(2, 1, 1, 2)
    logits[0, 0, 0, 0] = math.log(3)  # probability 3/4
    target = torch.tensor([[[[1.0, 1.0]]], [[[1.0, 0.0]]]])  # three pixels of the object in two pictures
    expected = ((-math.log(3 / 4) + 2 * LN2) / 3 + LN2) / 2
    assert class_balanced_bce(logits, target).item() == pytest.approx(expected)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_batch_of_one_class_only(value: float) -> None:
    assert class_balanced_bce(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), value)).item() == (
        pytest.approx(LN2)
    )


def test_the_papers_sum_is_2n_times_as_much() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 3, 4, generator=generator)
    target = (torch.rand(2, 1, 3, 4, generator=generator) < 0.3).float()
    p, count = logits.sigmoid().double(), target.numel()
    total = 0.0
    for y, probability in zip(target.flatten(), p.flatten(), strict=True):
        weight = count / float((target == y).sum())
        total += weight * -math.log(probability if y else 1 - probability)
    assert class_balanced_bce(logits, target).item() == pytest.approx(total / (2 * count), rel=1e-5)
