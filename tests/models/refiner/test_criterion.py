"""The mask refiner's losses, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from models.refiner.criterion import refiner_losses, soft_iou
from models.refiner.model import Refined


def test_soft_iou_counts_what_lies_beyond_the_crop() -> None:
    mask = torch.tensor([[[True, True], [False, False]]]).expand(3, 2, 2)
    truth = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]).expand(3, 2, 2)
    # 1 in common; 2 of the mask, and 2, 6 or (the crop shows more than the whole) 2 of the object
    found = soft_iou(mask, truth, torch.tensor([2.0, 6.0, 1.0]))
    assert found.tolist() == pytest.approx([1 / 3, 1 / 7, 1 / 3])


def test_soft_iou_of_half_covered_values() -> None:
    found = soft_iou(torch.ones(1, 1, 2, dtype=torch.bool), torch.tensor([[[1.0, 0.5]]]), torch.tensor([1.5]))
    assert found.item() == pytest.approx(1.5 / 2)


def test_losses_by_hand() -> None:
    truth = torch.tensor([[[1.0, 0.0]]])
    logits = torch.tensor([[[math.log(3), -math.log(3)]]])  # 3/4 and 1/4
    refined = Refined(logits, torch.tensor([math.log(4)]))  # an IoU of 4/5 is predicted
    losses = refiner_losses(refined, torch.tensor([[[1.0, 1.0]]]), truth, torch.tensor([1.0]))
    # 2 · 3/4 over (9/16 + 1/16) + 1
    assert losses["dice"].item() == pytest.approx(1 - 1.5 / 1.625, abs=1e-4)
    assert losses["entropy"].item() == pytest.approx(-math.log(0.75), rel=1e-5)
    assert losses["quality"].item() == pytest.approx(-math.log(0.8), rel=1e-5)  # the IoU is 1
    assert losses["total"].item() == pytest.approx(
        sum(losses[k].item() for k in ("dice", "entropy", "quality"))
    )
    assert (losses["before"].item(), losses["after"].item()) == pytest.approx((0.5, 1.0))


def test_a_mask_of_something_else_teaches_its_quality_only() -> None:
    refined = Refined(torch.tensor([[[5.0, -5.0]]], requires_grad=True), torch.tensor([0.0]))
    losses = refiner_losses(
        refined, torch.tensor([[[5.0, -5.0]]]), torch.tensor([[[0.0, 1.0]]]), torch.tensor([1.0])
    )
    assert set(losses) == {"quality", "total"}
    assert losses["total"].item() == pytest.approx(math.log(2))
