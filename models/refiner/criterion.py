"""The training criterion of the mask refiner."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.losses import dice_loss
from models.refiner.model import Refined

LEAST_OVERLAP = 0.25  # IoU of the mask so far with the object, from which there is something to mend


def soft_iou(mask: Tensor, truth: Tensor, area: Tensor) -> Tensor:
    """IoU of N masks with objects that may reach beyond the crop.

    Args:
        mask: bool ``[N, h, w]``.
        truth: float ``[N, h, w]``, coverage of the object, 0–1.
        area: ``[N]``, of the whole object, in values of the crop.

    Returns:
        ``[N]``, 0–1.
    """
    inside = (mask * truth).flatten(1).sum(1)
    covered = mask.flatten(1).sum(1)
    union = covered + torch.maximum(area, truth.flatten(1).sum(1)) - inside
    return inside / union.clamp(min=1e-6)


def refiner_losses(refined: Refined, prior: Tensor, truth: Tensor, area: Tensor) -> dict[str, Tensor]:
    """Dice and cross-entropy of the masks, cross-entropy of the predicted quality, and their sum ``total``.

    Masks that hardly meet the object teach the quality only.

    Args:
        refined: The network's output of N crops.
        prior: ``[N, h, w]`` logits of the masks so far, at the output's stride.
        truth: float ``[N, h, w]``, coverage of the object, 0–1.
        area: ``[N]``, of the whole object, in values of the crop.

    Returns:
        Scalars, with the IoUs ``before`` and ``after`` of the masks that can be mended.
    """
    logits, quality = refined.logits.float(), refined.quality.float()
    before, after = (soft_iou(values > 0, truth, area) for values in (prior, logits.detach()))
    mended = before >= LEAST_OVERLAP
    judged = F.binary_cross_entropy_with_logits(quality, after)
    losses = {"quality": judged, "total": judged}
    if mended.any():
        losses["dice"] = dice_loss(logits[mended].sigmoid(), truth[mended]).mean()
        losses["entropy"] = F.binary_cross_entropy_with_logits(logits[mended], truth[mended])
        losses["total"] = judged + losses["dice"] + losses["entropy"]
        losses["before"], losses["after"] = before[mended].mean(), after[mended].mean()
    return losses
