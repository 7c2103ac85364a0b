"""Judge what a selection found."""

from __future__ import annotations

import torch

from models.judge.features import Selection, features_of
from models.judge.model import JudgeModel

# Expected IoU with a sibling, below which an object is left out.
LEAST = 0.2


@torch.no_grad()
def judged(model: JudgeModel | None, selection: Selection) -> list[float | None]:
    """The score of each candidate, 0–1; None for what is left out, which the clicked object never is.

    Args:
        model: The judge; without one, the selection's own sureness times the expected IoU of the mask counts,
            and nothing is left out.
        selection: The clicked object first.
    """
    candidates = selection.candidates
    if model is None or len(candidates) == 1:
        return [candidate.sureness * candidate.shown.found.quality for candidate in candidates]
    logits = model(
        torch.from_numpy(features_of(selection))[None].to(model.device),
        torch.from_numpy(selection.alike).float()[None].to(model.device),
        torch.ones(1, len(candidates), dtype=torch.bool, device=model.device),
    )
    scores = logits[0].sigmoid().tolist()
    return [score if score >= LEAST or not index else None for index, score in enumerate(scores)]
