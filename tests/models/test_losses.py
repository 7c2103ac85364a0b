"""Losses, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from shapely import box, union_all

from models.losses import (
    center_focal_loss,
    centerness_of,
    contrastive_loss,
    dice_loss,
    giou_loss,
    sigmoid_focal_loss,
)

LN2 = math.log(2)


def test_focal_loss() -> None:
    # p = 1/2 and a positive: 0.25 · (1/2)² · ln 2; p = 3/4 and a negative: 0.75 · (3/4)² · ln 4
    logits, targets = torch.tensor([0.0, math.log(3)]), torch.tensor([1.0, 0.0])
    expected = 0.25 * 0.25 * LN2 + 0.75 * 0.5625 * 2 * LN2
    assert sigmoid_focal_loss(logits, targets).item() == pytest.approx(expected, rel=1e-6)


def test_focal_loss_without_focus_is_half_the_cross_entropy() -> None:
    logits, targets = torch.tensor([[1.0, -2.0], [0.3, 4.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    entropy = [-math.log(1 / (1 + math.exp(-s))) for s in (1.0, 2.0, -0.3, 4.0)]  # s: the logit's right sign
    assert sigmoid_focal_loss(logits, targets, alpha=0.5, gamma=0).item() == pytest.approx(
        sum(entropy) / 2, rel=1e-6
    )


@pytest.mark.parametrize(
    ("predicted", "target", "loss"),
    [
        ((1, 2, 3, 4), (1, 2, 3, 4), 0.0),
        ((1, 1, 1, 1), (2, 2, 2, 2), 1 - 4 / 16),  # nested: the hull is the union
        ((2, 1, 0, 1), (0, 1, 2, 1), 1.0),  # side by side: no overlap, the hull is the union
        ((2, 2, 0, 0), (0, 0, 2, 2), 1.5),  # across a corner: union 8, hull 16, so GIoU = -(16 - 8) / 16
        ((0, 0, 0, 0), (1, 1, 1, 1), 1.0),  # a point inside: IoU 0, the hull is the union
        ((0, 0, 0, 0), (0, 0, 0, 0), 1.0),  # two points: nothing to divide by
    ],
)
def test_giou_loss(predicted: tuple, target: tuple, loss: float) -> None:
    value = giou_loss(torch.tensor([predicted]).float(), torch.tensor([target]).float())
    assert value.shape == (1,)
    assert value.item() == pytest.approx(loss, abs=1e-6)


def test_giou_loss_equals_shapely(rng: np.random.Generator) -> None:
    predicted, target = rng.uniform(0, 10, (2, 50, 4))
    values = giou_loss(torch.from_numpy(predicted), torch.from_numpy(target)).numpy()
    for (pl, pt, pr, pb), (tl, tt, tr, tb), value in zip(predicted, target, values, strict=True):
        a, b = box(-pl, -pt, pr, pb), box(-tl, -tt, tr, tb)
        union, hull = a.union(b).area, box(*union_all([a, b]).bounds).area
        assert value == pytest.approx(1 - (a.intersection(b).area / union - (hull - union) / hull), abs=1e-9)


def test_giou_loss_pulls_the_distances_towards_the_target() -> None:
    predicted = torch.tensor([[1.0, 3.0, 1.0, 3.0]], requires_grad=True)
    giou_loss(predicted, torch.tensor([[2.0, 2.0, 2.0, 2.0]])).sum().backward()
    assert predicted.grad is not None
    assert (predicted.grad[0, [0, 2]] < 0).all()  # too near: the loss falls as they grow
    assert (predicted.grad[0, [1, 3]] > 0).all()


def test_centerness() -> None:
    distances = torch.tensor([[1, 2, 3, 4], [2, 5, 2, 5], [0, 1, 1, 1], [9, 1, 1, 9], [0, 0, 0, 0]]).float()
    expected = [math.sqrt(1 / 3 * 2 / 4), 1, 0, 1 / 9, 0]
    assert centerness_of(distances).tolist() == pytest.approx(expected, abs=1e-6)


def test_dice_loss() -> None:
    probability = torch.tensor(
        [[[1, 1], [0, 0]], [[0.5, 0.5], [0.5, 0.5]], [[0, 1], [1, 0]], [[0, 0], [0, 0]]]
    )
    target = torch.tensor([[[1, 0], [0, 0]], [[1, 1], [0, 0]], [[0, 1], [1, 0]], [[0, 0], [0, 0]]]).float()
    expected = [1 - 2 / (2 + 1), 1 - 2 * 1 / (1 + 2), 0, 1]
    assert dice_loss(probability, target).tolist() == pytest.approx(expected, abs=1e-5)


def test_center_focal_loss() -> None:
    target = torch.tensor([[[1.0, 0.5], [0.0, 0.0]]])
    # all p = 1/2: the centre 1/4 ln 2, the cell beside it (1/2)⁴ · 1/4 ln 2, two far ones 1/4 ln 2 each
    expected = (0.25 + 0.25 / 16 + 0.5) * LN2
    assert center_focal_loss(torch.zeros(1, 2, 2), target).item() == pytest.approx(expected, rel=1e-6)


def test_center_focal_loss_is_divided_by_the_centers() -> None:
    target = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    assert center_focal_loss(torch.zeros(1, 2, 2), target).item() == pytest.approx(LN2 / 2, rel=1e-6)


def test_center_focal_loss_without_centers_is_the_negative_sum() -> None:
    logit = math.log(1 / 3)  # p = 1/4: (1/4)² · ln(4/3) each
    loss = center_focal_loss(torch.full((2, 2, 2), logit), torch.zeros(2, 2, 2))
    assert loss.item() == pytest.approx(8 / 16 * math.log(4 / 3), rel=1e-5)


def test_center_focal_loss_is_finite_at_extreme_logits() -> None:
    logits = torch.tensor([[[-200.0, 200.0]]], requires_grad=True)
    loss = center_focal_loss(logits, torch.tensor([[[1.0, 0.0]]]))
    loss.backward()
    assert loss.item() == pytest.approx(400)  # -log σ(-200) on either side
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_contrastive_loss() -> None:
    distance, same = torch.tensor([0.5, 0.4, 1.5]), torch.tensor([1.0, 0.0, 0.0])
    # ½ · 0.5², ½ · (1 - 0.4)², and nothing beyond the margin
    assert contrastive_loss(distance, same).item() == pytest.approx((0.125 + 0.18) / 3)
    assert contrastive_loss(distance, same, margin=2.0).item() == pytest.approx((0.125 + 1.28 + 0.125) / 3)
