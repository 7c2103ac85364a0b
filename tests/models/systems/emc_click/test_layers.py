"""Normalisation whose statistics are those of the batches seen."""

from __future__ import annotations

import torch
from torch import nn

from models.systems.emc_click.layers import SettledBatchNorm


def faint(shift: float = 0.0) -> torch.Tensor:
    """A channel as a click's: nearly all zero, variance 1e-4."""
    values = torch.zeros(4, 1, 10, 10)
    values[:, 0, 3, 3] = 0.1
    return values + shift


def test_one_step_is_enough_for_use() -> None:
    norm, usual = SettledBatchNorm(1), nn.BatchNorm2d(1)
    trained = norm(faint())
    usual(faint())
    # mean 0.001; variance 0.1² · 0.01 - 0.001² = 0.000099; 0.00001 is torch's own addend
    assert abs(trained[0, 0, 3, 3].item() - 0.099 / (0.000099 + 0.00001) ** 0.5) < 1e-3
    norm.eval(), usual.eval()
    # in use the variance is the unbiased one, 400 / 399 of the above
    torch.testing.assert_close(norm(faint()), trained, rtol=3e-3, atol=3e-3)
    assert usual(faint())[0, 0, 3, 3] < 0.02 * trained[0, 0, 3, 3]  # what the network would see of a click


def test_first_batches_count_alike_and_later_ones_a_tenth() -> None:
    norm = SettledBatchNorm(1)
    for step in range(10):
        norm(faint(float(step)))
    torch.testing.assert_close(norm.running_mean, torch.tensor([4.501]))  # of 0.001 … 9.001
    norm(faint(14.5))
    torch.testing.assert_close(norm.running_mean, torch.tensor([0.9 * 4.501 + 0.1 * 14.501]))


def test_it_goes_on_from_saved_statistics() -> None:
    norm, resumed = SettledBatchNorm(1), SettledBatchNorm(1)
    for step in range(3):
        norm(faint(float(step)))
    resumed.load_state_dict(norm.state_dict())
    norm(faint(3.0))
    resumed(faint(3.0))
    assert torch.equal(norm.running_mean, resumed.running_mean)
    torch.testing.assert_close(norm.running_mean, torch.tensor([1.501]))
