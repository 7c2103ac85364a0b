"""Losses as small pure functions; each model's criterion adds them up."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def sigmoid_focal_loss(logits: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Sum of the sigmoid focal loss over all elements.

    Args:
        logits: Any shape, before the sigmoid.
        targets: Same shape, 0 or 1.
        alpha: Weight of the positives; the negatives get ``1 - alpha``.
        gamma: Exponent of the modulating factor.

    Source: Lin et al., "Focal Loss for Dense Object Detection" (2017), equation 5.
    """
    probability = logits.sigmoid()
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    p_true = probability * targets + (1 - probability) * (1 - targets)
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    return (weight * (1 - p_true) ** gamma * cross_entropy).sum()


def giou_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """``1 - GIoU`` of boxes given as distances (l, t, r, b) from one shared location.

    Args:
        predicted: float ``[N, 4]``, non-negative.
        target: float ``[N, 4]``, non-negative.

    Returns:
        float ``[N]`` in [0, 2].

    Source: Rezatofighi et al., "Generalized Intersection over Union" (2019), algorithm 1.
    """
    smaller, larger = torch.minimum(predicted, target), torch.maximum(predicted, target)  # [N, 4]
    intersection = (smaller[:, 0] + smaller[:, 2]) * (smaller[:, 1] + smaller[:, 3])
    hull = (larger[:, 0] + larger[:, 2]) * (larger[:, 1] + larger[:, 3])
    area_predicted = (predicted[:, 0] + predicted[:, 2]) * (predicted[:, 1] + predicted[:, 3])
    area_target = (target[:, 0] + target[:, 2]) * (target[:, 1] + target[:, 3])
    union = area_predicted + area_target - intersection
    iou = intersection / union.clamp(min=1e-6)
    return 1 - (iou - (hull - union) / hull.clamp(min=1e-6))


def centerness_of(distances: Tensor) -> Tensor:
    """Centerness of locations from their distances (l, t, r, b) to the box sides.

    Args:
        distances: float ``[N, 4]``, non-negative.

    Returns:
        float ``[N]`` in [0, 1].

    Source: Tian et al., "FCOS" (2019), equation 3.
    """
    horizontal, vertical = distances[:, [0, 2]], distances[:, [1, 3]]  # [N, 2] each
    ratio = horizontal.amin(1) / horizontal.amax(1).clamp(min=1e-6)
    ratio = ratio * (vertical.amin(1) / vertical.amax(1).clamp(min=1e-6))
    return ratio.clamp(min=0).sqrt()


def dice_loss(probability: Tensor, target: Tensor) -> Tensor:
    """``1 - 2 Σxy / (Σx² + Σy² + 1e-5)`` per mask.

    Args:
        probability: float ``[N, H, W]`` in [0, 1].
        target: float ``[N, H, W]``, 0 or 1.

    Returns:
        float ``[N]`` in [0, 1].

    Source: the mask loss of Entity Segmentation (Qi et al., 2021).
    """
    x, y = probability.flatten(1), target.flatten(1)  # [N, HW]
    return 1 - 2 * (x * y).sum(1) / ((x * x).sum(1) + (y * y).sum(1) + 1e-5)


def center_focal_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Penalty-reduced focal loss of a heatmap, divided by the number of centres.

    Args:
        logits: float ``[N, H, W]``, before the sigmoid.
        target: float ``[N, H, W]`` in [0, 1]; exactly 1 at the centres.

    Returns:
        A scalar; with no centre at all, the sum of the negatives' part.

    Source: Zhou et al., "Objects as Points" (2019), equation 1, with α = 2 and β = 4.
    """
    log_p, log_not_p = F.logsigmoid(logits), F.logsigmoid(-logits)
    p = logits.sigmoid()
    centers = target == 1
    positive = ((1 - p) ** 2 * log_p)[centers].sum()
    negative = ((1 - target) ** 4 * p**2 * log_not_p)[~centers].sum()
    return -(positive + negative) / centers.sum().clamp(min=1)


def contrastive_loss(distance: Tensor, same: Tensor, margin: float = 1.0) -> Tensor:
    """Max-margin contrastive loss, mean over pairs.

    Args:
        distance: float ``[N]``, Euclidean distances of the embeddings.
        same: float ``[N]``, 1 for a pair of one group, else 0.
        margin: Distance beyond which a negative pair costs nothing.

    Source: Hadsell et al., "Dimensionality Reduction by Learning an Invariant Mapping" (2006), equation 4.
    """
    pull = same * distance**2
    push = (1 - same) * (margin - distance).clamp(min=0) ** 2
    return (0.5 * (pull + push)).mean()
