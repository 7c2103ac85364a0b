"""The chooser's criterion, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from models.chooser.criterion import SHARPNESS, blend_iou, blend_loss, blended
from models.chooser.model import Weighed


def halves() -> Weighed:
    """Weights of 3/4 and 1/4, offsets of 0.4 and - 0.8."""
    return Weighed(torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([[0.4, -0.8]]))


def test_blended_logits() -> None:
    masks = torch.tensor([[[2.0, -2.0, 4.0], [2.0, 2.0, -4.0]]])
    # offsets: 0.75 · 0.4 - 0.25 · 0.8 = 0.1
    torch.testing.assert_close(blended(halves(), masks), torch.tensor([[2.1, -0.9, 2.1]]))


def test_iou_within_the_lattice() -> None:
    covered, truth = torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([[1.0, 0.5, 0.5]])
    iou = blend_iou(covered, halves(), truth, torch.tensor([2.0]), torch.zeros(1, 2))
    assert iou.item() == pytest.approx(1.5 / 2.5)


def test_iou_with_what_lies_beyond_it() -> None:
    covered, truth = torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([[1.0, 0.5, 0.5]])
    # the object has 5 cells in all, the masks 4 and 8 more: 3 + 2 in proportion
    iou = blend_iou(covered, halves(), truth, torch.tensor([5.0]), torch.tensor([[4.0, 8.0]]))
    assert iou.item() == pytest.approx(1.5 / (2 + 5 + 5 - 1.5))


def test_the_loss() -> None:
    masks = torch.tensor([[[4.0, -4.0], [4.0, -4.0]]])
    weighed = Weighed(torch.zeros(1, 2), torch.zeros(1, 2))
    truth = torch.tensor([[1.0, 0.0]])
    inside = 1 / (1 + math.exp(-4.0 * SHARPNESS))
    expected = 1 - inside / (1 + (inside + (1 - inside)) - inside)
    loss = blend_loss(weighed, masks, truth, torch.tensor([1.0]), torch.zeros(1, 2))
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    wrong = blend_loss(weighed, masks, 1 - truth, torch.tensor([1.0]), torch.zeros(1, 2))
    assert wrong.item() > 0.99


def test_the_loss_moves_weight_to_what_is_right() -> None:
    logits = torch.zeros(1, 2, requires_grad=True)
    offsets = torch.zeros(1, 2, requires_grad=True)
    masks = torch.tensor([[[0.5, -0.5, -0.5], [0.5, 0.5, -0.5]]])
    truth = torch.tensor([[1.0, 1.0, 0.0]])
    loss = blend_loss(Weighed(logits, offsets), masks, truth, torch.tensor([2.0]), torch.zeros(1, 2))
    loss.backward()
    assert logits.grad is not None
    assert offsets.grad is not None
    assert logits.grad[0, 1] < 0 < logits.grad[0, 0]  # descent makes the second one likelier
