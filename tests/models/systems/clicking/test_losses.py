"""The losses of interactive segmentation, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from models.systems.clicking.losses import mean_bce, normalised_focal_loss


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def test_normalised_focal_loss_by_hand() -> None:
    # true classes have probabilities 0.8 (object) and 0.4 (background, p = 0.6)
    logits = torch.tensor([logit(0.8), logit(0.6)]).view(1, 1, 1, 2)
    target = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)
    beta = [0.2**2, 0.6**2]
    cost = [-math.log(0.8), -math.log(0.4)]
    expected = 0.5 * (beta[0] * cost[0] + beta[1] * cost[1]) / sum(beta)
    assert normalised_focal_loss(logits, target).item() == pytest.approx(expected, rel=1e-6)
    weighted = (0.9 * beta[0] * cost[0] + 0.1 * beta[1] * cost[1]) / sum(beta)
    assert normalised_focal_loss(logits, target, alpha=0.9).item() == pytest.approx(weighted, rel=1e-6)
    gamma0 = normalised_focal_loss(logits, target, gamma=0.0).item()
    assert gamma0 == pytest.approx(0.25 * sum(cost), rel=1e-6)  # half of the plain mean


def test_ignored_pixels_cost_nothing() -> None:
    logits = torch.tensor([logit(0.8), logit(0.6), 9.0]).view(1, 1, 1, 3)
    target, counted = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([1.0, 1.0, 0.0])
    with_ignored = normalised_focal_loss(logits, target.view_as(logits), counted=counted.view_as(logits))
    without = normalised_focal_loss(logits[..., :2], target[:2].view(1, 1, 1, 2))
    assert with_ignored.item() == pytest.approx(without.item(), rel=1e-6)


def test_the_mean_is_over_pictures() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(3, 1, 4, 5), (torch.rand(3, 1, 4, 5) > 0.5).float()
    singles = [normalised_focal_loss(logits[i : i + 1], target[i : i + 1]).item() for i in range(3)]
    assert normalised_focal_loss(logits, target).item() == pytest.approx(sum(singles) / 3, rel=1e-6)


def test_no_gradient_flows_through_the_divisor() -> None:
    logits = torch.tensor([logit(0.8)]).view(1, 1, 1, 1).requires_grad_()
    normalised_focal_loss(logits, torch.ones(1, 1, 1, 1), alpha=1.0).backward()
    # d/dz of (1 - p)² · -log p at p = 0.8, over the constant (1 - p)²
    p = 0.8
    slope = (2 * (1 - p) * p * (1 - p) * math.log(p) - (1 - p) ** 3) / (1 - p) ** 2
    assert logits.grad is not None
    assert logits.grad.item() == pytest.approx(slope, rel=1e-5)


def test_sure_and_right_costs_nothing_and_stays_finite() -> None:
    logits = torch.tensor([50.0, -50.0]).view(1, 1, 1, 2).requires_grad_()
    loss = normalised_focal_loss(logits, torch.tensor([1.0, 0.0]).view(1, 1, 1, 2))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_mean_bce_by_hand() -> None:
    logits = torch.tensor([logit(0.8), logit(0.6)]).view(1, 1, 1, 2)
    target = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)
    assert mean_bce(logits, target).item() == pytest.approx(-(math.log(0.8) + math.log(0.4)) / 2, rel=1e-6)
    counted = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)
    assert mean_bce(logits, target, counted).item() == pytest.approx(-math.log(0.4), rel=1e-6)
