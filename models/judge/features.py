"""What the judge knows of each object that a selection found, and of the clicked one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.placed_object import PlacedObject
from toolkit.clicks import Click

FEATURES = (
    "clicked",
    "similarity",
    "confidence of its click",
    "score",
    "sureness",
    "quality",
    "depth of its click",
    "log side in the view",
    "log side over the clicked one's",
    "size apart from the clicked one",
    "log area over the clicked one's",
    "log side over the median",
    "size apart from the median",
    "filled part of its box",
    "filled part apart from the clicked one's",
    "log of width over height",
    "shape apart from the clicked one's",
    "distance to the clicked one in its sides",
    "mean similarity to others",
    "largest similarity to others",
    "share of those as similar",
    "mean similarity of all",
    "log of the number",
    "the clicked one's score",
    "the clicked one's sureness",
    "the clicked one's quality",
)
_TINY = 1e-6


@dataclass(frozen=True)
class Candidate:
    """An object that a selection found.

    Attributes:
        seen: As it was found, in the view that siblings are sought in.
        shown: As it is answered: seen in a crop, refined.
        click: The click that found it, on the photo.
        similarity: PVM's, to the clicked object, 0–1.
        proposed: CPN's confidence of the click, 0–1.
        sureness: What IDS makes of both, and of the object's score, 0–1.
    """

    seen: PlacedObject
    shown: PlacedObject
    click: Click
    similarity: float
    proposed: float
    sureness: float


@dataclass(frozen=True)
class Selection:
    """What one click selects, before it is judged.

    Attributes:
        candidates: The clicked object first; at least one.
        alike: float ``[N, N]``, PVM's similarity of each with each, 0–1.
    """

    candidates: Sequence[Candidate]
    alike: np.ndarray


def features_of(selection: Selection) -> np.ndarray:
    """What is known of each candidate, float32 ``[N, len(FEATURES)]``."""
    candidates, alike = selection.candidates, selection.alike
    seen = [candidate.seen for candidate in candidates]
    found = [item.found for item in seen]
    boxes = np.array([item.box for item in seen])  # [N, 4]
    widths, heights = (np.maximum(boxes[:, i + 2] - boxes[:, i], _TINY) for i in (0, 1))
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    sides, areas = np.maximum(widths, heights), np.array([item.area for item in seen])
    log_side, log_area = np.log(sides), np.log(np.maximum(areas, _TINY))
    filled, shape = areas / (widths * heights), np.log(widths / heights)
    count, ones = len(candidates), np.ones(len(candidates))
    similarity = np.array([candidate.similarity for candidate in candidates])
    score, sureness = (np.array([getattr(one, name) for one in found]) for name in ("score", "sureness"))
    quality = np.array([candidate.shown.found.quality for candidate in candidates])
    apart = alike * (1 - np.eye(count))
    from_median = log_side - np.median(log_side)
    columns = (
        np.arange(count) == 0,
        similarity,
        [candidate.proposed for candidate in candidates],
        score,
        sureness,
        quality,
        [item.depth for item in seen],
        np.log(sides * seen[0].scale),
        log_side - log_side[0],
        np.abs(log_side - log_side[0]),
        log_area - log_area[0],
        from_median,
        np.abs(from_median),
        filled,
        np.abs(filled - filled[0]),
        shape,
        np.abs(shape - shape[0]),
        np.hypot(*(middles - middles[0]).T) / sides[0],
        apart.sum(1) / max(count - 1, 1),
        apart.max(1),
        (similarity[None] >= similarity[:, None]).mean(1),
        apart.sum() / max(count * (count - 1), 1) * ones,
        np.log(count) * ones,
        score[0] * ones,
        sureness[0] * ones,
        quality[0] * ones,
    )
    return np.column_stack(columns).astype(np.float32)
