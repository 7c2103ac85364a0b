"""Judge what a selection found."""

from __future__ import annotations

import torch

from models.judge.features import Selection, features_of
from models.judge.model import JudgeModel

# Expected IoU with a sibling, below which an object is left out (models/RESULTS.md).
LEAST = 0.05


@torch.no_grad()
def judged(model: JudgeModel | None, selection: Selection) -> list[float | None]:
    """The score of each candidate, 0–1; None for what is left out, which the clicked object never is.

    Args:
        model: The judge; without one, the selection's own sureness times the expected IoU of the mask counts
            (of the clicked object, that it is what was clicked in place of the former), and nothing is left
            out.
        selection: The clicked object first.
    """
    candidates = selection.candidates
    if model is None:
        first, *siblings = candidates
        found = first.shown.found
        return [found.score * found.quality, *(c.sureness * c.shown.found.quality for c in siblings)]
    logits = model(
        torch.from_numpy(features_of(selection))[None].to(model.device),
        torch.from_numpy(selection.alike).float()[None].to(model.device),
        torch.ones(1, len(candidates), dtype=torch.bool, device=model.device),
    )
    scores = logits[0].sigmoid().tolist()
    return [score if score >= LEAST or not index else None for index, score in enumerate(scores)]
