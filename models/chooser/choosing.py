"""The object that a click means, of its proposals."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from models.agreement import agreed
from models.chooser.blending import blend
from models.chooser.features import features_of
from models.chooser.model import ChooserModel
from models.overlaps import overlaps
from models.placed_object import PlacedObject


@torch.inference_mode()
def choose(model: ChooserModel | None, items: Sequence[PlacedObject]) -> PlacedObject | None:
    """What a click most likely means: its proposals, blended as the chooser weighs them; None of none.

    Args:
        model: The chooser; without one, what agrees best is taken as it is (:mod:`models.agreement`).
        items: Proposals for one click; for several at once, of which none need lie in the middle, what agrees
            best is taken as well.
    """
    if model is None or not items or any(len(item.found.clicks) != 1 for item in items):
        return agreed(items)
    iou = overlaps(items, items)
    weighed = model(
        torch.from_numpy(features_of(items, iou))[None].to(model.device),
        torch.from_numpy(iou).float()[None].to(model.device),
        torch.ones(1, len(items), dtype=torch.bool, device=model.device),
    )
    weights = weighed.logits[0].softmax(0).cpu().numpy()
    return blend(items, weights, weighed.offsets[0].cpu().numpy())
