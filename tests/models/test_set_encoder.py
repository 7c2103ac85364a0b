"""The encoder of sets."""

from __future__ import annotations

import numpy as np
import torch

from models.set_encoder import SetEncoder, _mean


def test_weighted_means_by_hand() -> None:
    values = torch.tensor([[[1.0, 10.0], [3.0, 30.0]]])
    weights = torch.tensor([[[3.0, 1.0], [0.0, 2.0], [0.0, 0.0]]])
    torch.testing.assert_close(_mean(weights, values), torch.tensor([[[1.5, 15.0], [3.0, 30.0], [0.0, 0.0]]]))


def test_numbers_are_normalised() -> None:
    encoder = SetEncoder(3, 4, 1, 0.0)
    features = torch.from_numpy(np.random.default_rng(0).normal(5, 2, (50, 3)).astype(np.float32))
    features[:, 2] = 7
    encoder.normalise_by(features)
    torch.testing.assert_close(encoder.mean, features.mean(0))
    torch.testing.assert_close(encoder.deviation[:2], features.std(0)[:2])
    assert encoder.deviation[2] == torch.tensor(1e-4)  # what never differs must not divide by zero


def test_the_order_does_not_matter() -> None:
    torch.manual_seed(0)
    encoder = SetEncoder(3, 8, 2, 0.2).eval()
    features, relations = torch.randn(1, 4, 3), torch.rand(1, 4, 4)
    present = torch.ones(1, 4).bool()
    order = [2, 0, 3, 1]
    with torch.no_grad():
        first = encoder(features, relations, present)
        second = encoder(features[:, order], relations[:, order][:, :, order], present)
    torch.testing.assert_close(first[:, order], second)


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    encoder = SetEncoder(3, 8, 2, 0.0).eval()
    features, relations = torch.randn(2, 5, 3), torch.rand(2, 5, 5)
    present = torch.tensor([[True, True, True, False, False], [True] * 5])
    with torch.no_grad():
        both = encoder(features, relations, present)
        alone = encoder(features[:1, :3], relations[:1, :3, :3], present[:1, :3])
    torch.testing.assert_close(both[0, :3], alone[0])


def test_members_learn_from_those_they_are_related_to() -> None:
    torch.manual_seed(0)
    encoder = SetEncoder(3, 8, 1, 0.0).eval()
    features = torch.randn(1, 3, 3)
    apart = torch.eye(3)[None]
    related = apart.clone()
    related[0, 0, 1] = 1.0
    with torch.no_grad():
        one, other = (encoder(features, x, torch.ones(1, 3).bool()) for x in (apart, related))
    assert not torch.allclose(one[0, 0], other[0, 0])
    torch.testing.assert_close(one[0, 1:], other[0, 1:])
