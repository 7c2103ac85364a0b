"""Quick validation of PVM while it trains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models.one_click import OneClickModel
from models.pvm import VerificationModel
from models.pvm.model import ObjectInputs
from models.tasks.encoded_photos import EncodedPhoto, encode_photos
from toolkit.evaluation.curves import roc

MOST_OBJECTS = 16  # of a photo, so that no crowd outweighs the others


@dataclass(frozen=True)
class _Photo:
    """A photo's objects as the network under test takes them; patches are kept as uint8."""

    patches: torch.Tensor
    features: torch.Tensor
    coverage: torch.Tensor
    sides: torch.Tensor
    groups: np.ndarray

    def inputs(self, device: torch.device) -> ObjectInputs:
        parts = (self.patches, self.features, self.coverage, self.sides)
        return ObjectInputs(*(part.to(device).float() for part in parts))


class PairValidation:
    """Pairs of objects in photos of a validation split that hold siblings and others.

    What the frozen network does to the photos is done once.

    Args:
        frozen: The 1C-DSN.
        split: Folder of the split.
        photos: So many, evenly spread over those that fit.
    """

    def __init__(self, frozen: OneClickModel, split: Path, photos: int) -> None:
        self._frozen, self._split, self._photos = frozen, split, photos
        self._cut: list[_Photo] | None = None

    def score(self, model: VerificationModel) -> dict[str, float]:
        """Measure a network, which is left in the mode it was in.

        Masks are the frozen network's own where they show the object, else the true ones: PVM is
        measured, not 1C-DSN.

        Returns:
            ``score``, the mean over photos of the area under the ROC curve of its pairs; ``auc_pooled``,
            the area of all pairs together, for which one threshold must do; ``pairs``, their number.
        """
        if self._cut is None:
            wanted = encode_photos(self._frozen, self._split, self._photos, MOST_OBJECTS, siblings_and_others)
            self._cut = [_cut(photo, model) for photo in wanted]
        training = model.training
        model.eval()
        areas, scores, labels = [], [], []
        try:
            for photo in self._cut:
                with torch.no_grad():
                    embedded = model(photo.inputs(model.device)).float()
                upper = np.triu_indices(len(photo.groups), 1)
                alike = -torch.cdist(embedded, embedded).cpu().numpy()[upper]
                same = (photo.groups[:, None] == photo.groups[None])[upper]
                scores.append(alike)
                labels.append(same)
                areas.append(roc(alike, same).area)
        finally:
            model.train(training)
        known = [area for area in areas if area is not None]
        if not known:
            return {"pairs": 0.0}
        pooled = roc(np.concatenate(scores), np.concatenate(labels)).area
        return {
            "score": float(np.mean(known)),
            "auc_pooled": float(pooled or 0.0),
            "pairs": float(sum(map(len, labels))),
        }


def siblings_and_others(groups: list[int]) -> bool:
    """Whether some of the objects are siblings and some are not."""
    return 1 < len(set(groups)) < len(groups)


def _cut(photo: EncodedPhoto, model: VerificationModel) -> _Photo:
    masks = torch.stack([item.mask for item in photo.objects])
    boxes = torch.stack([item.box for item in photo.objects])
    given = (photo.image.float(), photo.pyramid[0], masks, boxes, *photo.stages)
    image, feature, masks, boxes, *stages = (one.to(model.device) for one in given)
    with torch.no_grad():
        cut = model.gather(image, feature, masks, boxes, stages)
    groups = np.array([item.group for item in photo.objects])
    patches = cut.patches.round().clamp(0, 255).to(torch.uint8)
    return _Photo(patches.cpu(), cut.features.cpu(), cut.coverage.cpu(), cut.sides.cpu(), groups)
