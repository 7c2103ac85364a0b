"""What CPN proposes wrongly: the hard negatives that PVM learns to refuse (SimpSON, section 3.3)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.cpn import ProposalModel
from models.cpn.heatmap import find_peaks
from models.cpn.model import HEATMAP_STRIDE
from models.ids import SelectionConfig
from models.one_click.finder import EncodedImage
from models.one_click.found_object import FoundObject

# A find is a sibling, seen badly, from this part of the smaller of the two masks on.
LARGEST_OVERLAP = 0.25


@torch.no_grad()
def false_clicks(
    model: ProposalModel,
    encoded: EncodedImage,
    exemplar: tuple[Tensor, Tensor],
    siblings: np.ndarray,
    limit: int,
) -> list[tuple[float, float]]:
    """Clicks beside all siblings of the exemplar that a selection would follow, the surest first.

    Args:
        model: CPN.
        encoded: The picture.
        exemplar: Coverage ``[H / 4, W / 4]`` and box ``[4]`` of the clicked object.
        siblings: uint8 ``[H / 4, W / 4]``, 0 outside the exemplar and all its siblings.
        limit: Most clicks.

    Returns:
        (x, y) in pixels.
    """
    if model.device != exemplar[0].device:
        model.to(exemplar[0].device)  # type: ignore[arg-type]
    memory = model.remember(*encoded.as_batch())[0]
    heatmap = model.heatmap(memory, exemplar[0][None], exemplar[1][None]).float().sigmoid()
    settings = SelectionConfig()
    peaks = find_peaks(heatmap, settings.window, settings.confidence)
    beside = [p for p in peaks if not siblings[int(p.y // HEATMAP_STRIDE), int(p.x // HEATMAP_STRIDE)]]
    return [(p.x, p.y) for p in beside[:limit]]


def shows_sibling(found: FoundObject, siblings: np.ndarray) -> bool:
    """Whether a click beside the siblings (uint8 ``[H / 4, W / 4]``) found one of them all the same."""
    mask = found.coverage(*siblings.shape) > 0.5
    shared = np.count_nonzero(mask & (siblings > 127))
    smaller = min(np.count_nonzero(mask), np.count_nonzero(siblings > 127))
    return shared > LARGEST_OVERLAP * max(smaller, 1)
