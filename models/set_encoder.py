"""What each member of a set is, from numbers of its own and from those it is related to."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SetEncoder(nn.Module):
    """Vectors of the members of B sets, in any order.

    Each member is known by numbers of its own; then, in rounds, by the mean over all of them, and by the mean
    over those that it is related to.

    Args:
        features: F, numbers of a member.
        width: H, of the vectors.
        rounds: How often members learn about each other.
        dropout: Of the vectors, in training.

    Source: the mean over a set is Deep Sets' (Zaheer et al., 2017, section 2).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: int, width: int, rounds: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))
        self.own = nn.Sequential(nn.Linear(features, width), nn.GELU(), nn.Dropout(dropout))
        self.rounds = nn.ModuleList(
            nn.Sequential(nn.Linear(3 * width, width), nn.GELU(), nn.Dropout(dropout)) for _ in range(rounds)
        )

    @torch.no_grad()
    def normalise_by(self, features: Tensor) -> None:
        """Take mean and deviation, by which numbers are normalised, from those of many members ``[M, F]``."""
        self.mean.copy_(features.mean(0))
        self.deviation.copy_(features.std(0).clamp(min=1e-4))

    def forward(self, features: Tensor, relations: Tensor, present: Tensor) -> Tensor:
        """Vectors ``[B, N, H]``.

        Args:
            features: float ``[B, N, F]``.
            relations: float ``[B, N, N]``, how much the second matters to the first, 0 or more.
            present: bool ``[B, N]``; what is False is padding.
        """
        known: Tensor = self.own((features - self.mean) / self.deviation)  # [B, N, H]
        everyone = present.to(known.dtype)[:, None]  # [B, 1, N]
        related = relations.to(known.dtype) * everyone  # [B, N, N]
        for learn in self.rounds:
            mean = _mean(everyone, known).expand_as(known)
            known = known + learn(torch.cat([known, mean, _mean(related, known)], -1))
        return known


def _mean(weights: Tensor, values: Tensor) -> Tensor:
    """Means ``[B, M, H]`` of values ``[B, N, H]`` under weights ``[B, M, N]``."""
    return weights @ values / weights.sum(-1, keepdim=True).clamp(min=1e-6)
