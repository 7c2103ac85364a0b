"""Choose among a click's proposals."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from models.agreement import PlacedObject, agreed
from models.chooser.features import features_of
from models.chooser.model import ChooserModel


@torch.no_grad()
def choose(model: ChooserModel | None, items: Sequence[PlacedObject]) -> PlacedObject | None:
    """The proposal that a click most likely means; None of none.

    Args:
        model: The chooser; without one, what agrees best is taken (:mod:`models.agreement`).
        items: Proposals for one click; for several at once, of which none need lie in the middle, what agrees
            best is taken as well.
    """
    if model is None or len(items) < 2 or any(len(item.found.clicks) != 1 for item in items):
        return agreed(items)
    features = torch.from_numpy(features_of(items))[None].to(model.device)
    present = torch.ones(1, len(items), dtype=torch.bool, device=model.device)
    return items[int(model(features, present)[0].argmax())]
