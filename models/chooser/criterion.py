"""The training criterion of the chooser."""

from __future__ import annotations

from torch import Tensor

from models.chooser.model import Weighed

SHARPNESS = 4.0  # times the blended logits: the loss should judge a mask almost as its threshold does
_TINY = 1e-6


def blended(weighed: Weighed, masks: Tensor) -> Tensor:
    """Logits ``[B, K]`` of what B clicks mean, in K cells each.

    Args:
        weighed: What the network says of N proposals each.
        masks: Logits of the proposals' masks, ``[B, N, K]``.
    """
    weights = weighed.logits.softmax(1)  # [B, N]
    offset = (weights * weighed.offsets).sum(1, keepdim=True)  # [B, 1]
    return (weights[:, None] @ masks)[:, 0] + offset


def blend_iou(covered: Tensor, weighed: Weighed, truth: Tensor, area: Tensor, beyond: Tensor) -> Tensor:
    """IoU ``[B]`` of blended masks with their objects, 0–1.

    Args:
        covered: float ``[B, K]``, how much of each cell the blended mask covers, 0–1.
        weighed: What the network says of N proposals each.
        truth: float ``[B, K]``, how much the object does.
        area: ``[B]``, cells of the whole object, which may reach beyond the lattice.
        beyond: ``[B, N]``, cells of each proposal's mask beyond the lattice.
    """
    common = (covered * truth).sum(1)
    outside = (weighed.logits.softmax(1) * beyond).sum(1)
    union = covered.sum(1) + outside + area.maximum(truth.sum(1)) - common
    return common / union.clamp(min=_TINY)


def blend_loss(weighed: Weighed, masks: Tensor, truth: Tensor, area: Tensor, beyond: Tensor) -> Tensor:
    """What the soft IoU of blended masks lacks to 1, the mean over the clicks; see :func:`blend_iou`."""
    covered = (SHARPNESS * blended(weighed, masks)).sigmoid()
    return 1 - blend_iou(covered, weighed, truth, area, beyond).mean()
