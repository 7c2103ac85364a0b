"""The loss of multi-stage fusion."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def class_balanced_bce(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross entropy whose two classes weigh the same over a batch.

    A pixel weighs N / (2 N_y), with N pixels in the batch and N_y of its class; the mean over all pixels is
    half of the objects' mean plus half of the background's. The paper sums instead, with weights N / N_y:
    that is 2 N times as much, to be reckoned into the learning rate. With one class only, it is that class's
    mean.

    Args:
        logits: float ``[B, 1, H, W]``.
        target: Same shape, 0 or 1.

    Source: multi-stage fusion, equations 2 and 3.
    """
    target = target.float()
    cost = F.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
    parts = [((weight * cost).sum(), weight.sum()) for weight in (target, 1 - target)]
    means = [total / count.clamp(min=1) for total, count in parts]
    present = sum((count > 0).float() for _, count in parts)
    return sum(means, cost.new_zeros(())) / present
