"""Quick validation of CPN while it trains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.cpn import ProposalModel
from models.cpn.heatmap import find_peaks
from models.cpn.model import HEATMAP_STRIDE, QUERY_STRIDES
from models.ids import SelectionConfig
from models.one_click import OneClickModel
from models.tasks.encoded_photos import EncodedObject, EncodedPhoto, encode_photos
from toolkit.clicks import Click
from toolkit.evaluation.curves import precision_recall
from toolkit.evaluation.proposals import judge_clicks

MOST_OBJECTS = 40  # photos with more are left out: they would outweigh the others
MOST_CLICKS = 100  # per exemplar


@dataclass(frozen=True)
class _Photo:
    """P2–P4, C3 and C4 in float16, and the groups of two and more: the first of each is the exemplar."""

    pyramid: list[Tensor]
    stages: list[Tensor]
    groups: list[list[EncodedObject]]


class ProposalValidation:
    """One exemplar of each group in photos of a validation split, and the clicks proposed for it.

    What the frozen network does to the photos is done once.

    Args:
        frozen: The 1C-DSN.
        split: Folder of the split.
        photos: So many, evenly spread over those with a group of two and more.
    """

    def __init__(self, frozen: OneClickModel, split: Path, photos: int) -> None:
        self._frozen, self._split, self._photos = frozen, split, photos
        self._encoded: list[_Photo] | None = None

    def score(self, model: ProposalModel) -> dict[str, float]:
        """Measure a network, which is left in the mode it was in.

        Returns:
            ``score``, the area under precision over recall of the clicks of all exemplars (a click is right
            when it falls inside a sibling that no surer click fell into); ``exemplars``, their number.
        """
        if self._encoded is None:
            photos = encode_photos(self._frozen, self._split, self._photos, MOST_OBJECTS + 1, with_siblings)
            self._encoded = [_kept(photo) for photo in photos]
        training = model.training
        model.eval()
        verdicts: list[tuple[float, int]] = []
        siblings = exemplars = 0
        try:
            for photo in self._encoded:
                pyramid, stages = (
                    [one[None].to(model.device).float() for one in maps]
                    for maps in (photo.pyramid, photo.stages)
                )
                with torch.no_grad():
                    memory = model.remember(pyramid, stages)[0]
                for exemplar, *others in photo.groups:
                    with torch.no_grad():
                        mask, box = (part[None].to(model.device) for part in (exemplar.mask, exemplar.box))
                        heatmap = model.heatmap(memory, mask, box).float().sigmoid()
                    verdicts += _judge(heatmap, exemplar, others)
                    siblings += len(others)
                    exemplars += 1
        finally:
            model.train(training)
        area = precision_recall([v for v, _ in verdicts], [bool(r) for _, r in verdicts], siblings).area
        return {"exemplars": float(exemplars)} | ({} if area is None else {"score": area})


def with_siblings(groups: list[int]) -> bool:
    """Whether two of not too many objects are siblings."""
    return len(set(groups)) < len(groups) <= MOST_OBJECTS


def _kept(photo: EncodedPhoto) -> _Photo:
    groups: dict[int, list[EncodedObject]] = {}
    for item in photo.objects:
        groups.setdefault(item.group, []).append(item)
    pyramid = [level.half() for level in photo.pyramid[: len(QUERY_STRIDES)]]
    stages = [stage.half() for stage in photo.stages]
    return _Photo(pyramid, stages, [members for members in groups.values() if len(members) > 1])


def _judge(
    heatmap: Tensor, exemplar: EncodedObject, siblings: list[EncodedObject]
) -> list[tuple[float, int]]:
    """(confidence, 1 for right or 0 for wrong) of the clicks of a heatmap, in cells of stride 4."""
    peaks = find_peaks(heatmap.cpu(), SelectionConfig().single_window, 0.0, MOST_CLICKS)
    clicks = [(Click(p.x / HEATMAP_STRIDE, p.y / HEATMAP_STRIDE), p.confidence) for p in peaks]
    truths: list[np.ndarray] = [item.truth for item in siblings]
    return judge_clicks(clicks, truths, [exemplar.truth])
