from __future__ import annotations

import pytest
import torch

from toolkit.training import ExponentialMovingAverage


class Holder(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([10.0]))
        self.register_buffer("mean", torch.tensor([20.0]))
        self.register_buffer("count", torch.tensor(1))


def set_to(model: Holder, weight: float, mean: float, count: int) -> None:
    with torch.no_grad():
        model.weight.fill_(weight)
        model.mean.fill_(mean)
        model.count.fill_(count)


def test_two_updates_by_hand() -> None:
    model = Holder()
    average = ExponentialMovingAverage(model, decay=0.15)
    set_to(model, 0.0, 10.0, 5)
    average.update(model)  # decay (1 + 0) / (10 + 0) = 0.1: 0.1 · 10 + 0.9 · 0, 0.1 · 20 + 0.9 · 10
    assert average.model.weight.item() == pytest.approx(1.0)
    assert average.model.mean.item() == pytest.approx(11.0)
    assert average.model.count.item() == 5
    set_to(model, 2.0, 11.0, 6)
    average.update(model)  # min(0.15, 2 / 11) = 0.15: 0.15 · 1 + 0.85 · 2
    assert average.model.weight.item() == pytest.approx(1.85)
    assert average.model.mean.item() == pytest.approx(11.0)
    assert average.model.count.item() == 6


def test_the_average_neither_trains_nor_follows_the_model() -> None:
    model = Holder()
    average = ExponentialMovingAverage(model, decay=0.9)
    set_to(model, 0.0, 0.0, 0)
    assert average.model.weight.item() == 10.0
    assert not average.model.weight.requires_grad
    assert not average.model.training


def test_a_restored_average_goes_on_exactly() -> None:
    model = Holder()
    one = ExponentialMovingAverage(model, decay=0.9)
    set_to(model, 1.0, 2.0, 3)
    one.update(model)
    other = ExponentialMovingAverage(Holder(), decay=0.9)
    other.load_state_dict(one.state_dict())
    set_to(model, 5.0, 6.0, 7)
    one.update(model)
    other.update(model)
    assert torch.equal(one.model.weight, other.model.weight)
    assert one.updates == other.updates == 2
