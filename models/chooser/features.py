"""What the chooser knows of each proposal for a click: itself, and how the others agree with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.placed_object import PlacedObject

FEATURES = (
    "score",
    "sureness",
    "depth",
    "claim",
    "log claim",
    "log side",
    "log side in its view",
    "log scale over the finest",
    "log scale",
    "agreement",
    "agreement of soft votes",
    "agreement without depth",
    "part of it in others",
    "part of others in it",
    "agreement of other scales",
    "agreement of its scale",
    "nearest of other scales",
    "nearest of its scale",
    "share that is like it",
    "share of the votes",
    "vote over the best",
    "share of the soft votes",
    "votes for something larger",
    "votes for something smaller",
    "log side over the mean",
    "spread of the sides",
    "log of all votes",
    "best agreement",
    "agreement below the best",
    "area over its side squared",
    "log of the number",
    "best claim",
)
LIKE = 0.7  # IoU from which two proposals count as alike
LARGER = 1.15  # times as large a side counts as another size
_TINY = 1e-9


def features_of(items: Sequence[PlacedObject], iou: np.ndarray) -> np.ndarray:
    """What is known of each of a click's proposals.

    Args:
        items: At least one, none of them empty.
        iou: ``[N, N]`` of each with each, see :func:`models.overlaps.overlaps`.

    Returns:
        float32 ``[N, len(FEATURES)]``.
    """
    score, sureness, depth, side, scale, area = (
        np.array(values)
        for values in zip(
            *((i.found.score, i.found.sureness, i.depth, i.side, i.scale, i.area) for i in items), strict=True
        )
    )
    return _features(score, sureness, depth, side, scale, area, iou)


def _features(
    score: np.ndarray,
    sureness: np.ndarray,
    depth: np.ndarray,
    side: np.ndarray,
    scale: np.ndarray,
    area: np.ndarray,
    iou: np.ndarray,
) -> np.ndarray:
    """The same from numbers ``[N]`` of each, sides and areas in pixels of the photo, and IoUs ``[N, N]``."""
    count = len(score)
    ones = np.ones(count)
    claim = score * sureness
    # powers of their own: trained weights know these numbers, whatever models.agreement votes by
    vote, soft = claim**4 * depth**2, claim**2 * depth
    elsewhere = scale[:, None] != scale[None]  # [N, N]
    others = iou - np.eye(count)
    common = iou / (1 + iou) * (area[:, None] + area[None])  # IoU = common / (sum - common)
    part = np.minimum(common / np.maximum(area[:, None], _TINY), 1)  # of the first in the second
    log_side = np.log(side + 1)
    share = vote / (vote.sum() + _TINY)
    mean = (log_side * share).sum()
    agreement = _expected(iou, vote)
    columns = (
        score,
        sureness,
        depth,
        claim,
        np.log(claim + 1e-4),
        log_side,
        np.log(side * scale + 1),
        np.log(scale / scale.max()),
        np.log(scale),
        agreement,
        _expected(iou, soft),
        _expected(iou, claim**4),
        _expected(part, vote),
        _expected(part.T, vote),
        _expected(iou, vote * elsewhere),
        _expected(iou, vote * ~elsewhere),
        (others * elsewhere).max(1),
        (others * ~elsewhere).max(1),
        (others > LIKE).sum(1) / count,
        share,
        vote / (vote.max() + _TINY),
        soft / (soft.sum() + _TINY),
        (share[None] * (side[None] > LARGER * side[:, None])).sum(1),
        (share[None] * (side[None] < side[:, None] / LARGER)).sum(1),
        log_side - mean,
        np.sqrt(((log_side - mean) ** 2 * share).sum()) * ones,
        np.log(vote.sum() + 1e-6) * ones,
        agreement.max() * ones,
        agreement - agreement.max(),
        area / (side**2 + 1),
        np.log(count) * ones,
        claim.max() * ones,
    )
    return np.column_stack(columns).astype(np.float32)


def _expected(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Means ``[N]`` of the rows of ``[N, N]`` under weights ``[N]`` or ``[N, N]``; 0 without any weight."""
    weights = np.broadcast_to(weights, values.shape)
    return (values * weights).sum(1) / (weights.sum(1) + _TINY)
