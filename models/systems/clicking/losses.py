"""Losses of interactive segmentation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def normalised_focal_loss(
    logits: Tensor,
    target: Tensor,
    alpha: float = 0.5,
    gamma: float = 2.0,
    counted: Tensor | None = None,
    emphasis: Tensor | None = None,
) -> Tensor:
    """Focal loss whose weights add up to the number of pixels, per picture.

    With p the probability of the true class, each pixel costs ``a · (1 - p)^gamma · -log p``; their sum is
    divided by the picture's ``Σ (1 - p)^gamma``, through which no gradient flows.

    Args:
        logits: float ``[B, 1, H, W]``.
        target: Same shape, 0 or 1.
        alpha: Weight a of the object's pixels; the others get ``1 - alpha``.
        gamma: Exponent.
        counted: Same shape, 0 where a pixel counts neither way; all count when not given.

        emphasis: Same shape, factors of the pixels' costs that the divisor does not know; 1 when not given.

    Returns:
        A scalar, the mean over pictures.

    Source: Sofiiuk et al., "AdaptIS" (2019), section 3.4; RITM (2022), section 3.4.
    """
    logits, target = logits.float(), target.float()
    valid = torch.ones_like(target) if counted is None else counted.float()
    log_p = -F.binary_cross_entropy_with_logits(logits, target, reduction="none")  # [B, 1, H, W], ≤ 0
    beta = (1 - log_p.exp()).clamp(min=0) ** gamma * valid
    scale = beta.detach().flatten(1).sum(1).clamp(min=1e-6)  # [B]
    weight = alpha * target + (1 - alpha) * (1 - target)
    if emphasis is not None:
        weight = weight * emphasis
    return (-(weight * beta * log_p).flatten(1).sum(1) / scale).mean()


def mean_bce(logits: Tensor, target: Tensor, counted: Tensor | None = None) -> Tensor:
    """Binary cross entropy, the mean over the pixels that count: the loss of auxiliary outputs.

    Args:
        logits: float ``[B, 1, H, W]``.
        target: Same shape, 0 or 1.
        counted: Same shape, 0 where a pixel counts neither way; all count when not given.
    """
    cost = F.binary_cross_entropy_with_logits(logits.float(), target.float(), reduction="none")
    if counted is None:
        return cost.mean()
    return (cost * counted).sum() / counted.sum().clamp(min=1)
