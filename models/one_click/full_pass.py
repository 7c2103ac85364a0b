"""Candidates from full passes, for networks whose heads are not local (see ``heads_are_local``).

The answers are those of the windows, at the price of the heads over the whole photo for each group of clicks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.one_click.assign import level_locations
from models.one_click.candidates import (
    NMS_IOU,
    SCORE_THRESHOLD,
    Candidates,
    holds_any,
    nms,
    score_of,
)
from models.one_click.criterion import flatten_levels, gather_kernels
from models.one_click.model import OneClickModel, OneClickOutput, click_maps_of
from models.one_click.windows import cell_of, click_reach
from models.pyramid import STRIDES

Group = Sequence[tuple[float, float]]


def clicked_pass(
    model: OneClickModel, pyramid: Sequence[Tensor], clicks: Group, mask_features: Tensor
) -> OneClickOutput:
    """A full pass of the heads, and of the mask branch where it sees the clicks.

    Args:
        model: The network.
        pyramid: P2–P5 of one image, ``[C, H, W]`` each.
        clicks: (x, y) in pixels.
        mask_features: ``[8, H / 4, W / 4]`` without clicks.
    """
    config = model.config
    levels = [feature[None] for feature in pyramid]
    maps: list[Tensor] | None = None
    if config.click_embedding:
        height, width = (side * STRIDES[0] for side in pyramid[0].shape[-2:])
        maps = [m.to(mask_features.device) for m in click_maps_of([clicks], height, width)]
    heads = [model.heads(f, None if maps is None else maps[i], i) for i, f in enumerate(levels)]
    features = mask_features[None]
    if config.click_embedding and config.click_in_masks:
        features = model.mask_features(levels, maps).float()
    return OneClickOutput(levels, heads, features)


def candidates_of_pass(
    model: OneClickModel, output: OneClickOutput, clicks: Group, limit: int = 6
) -> Candidates:
    """The best boxes that contain a click; locations out of the click's reach must score.

    Args:
        model: The network.
        output: Of :func:`clicked_pass`.
        clicks: (x, y) in pixels.
        limit: Candidates after NMS.
    """
    logits, distances, centerness = flatten_levels(output)
    device = logits.device
    shapes = [(level.logits.shape[-2], level.logits.shape[-1]) for level in output.levels]
    points, levels = level_locations(shapes, device)
    scores = score_of(logits[0], centerness[0])  # [L]
    boxes = torch.cat([points - distances[0, :, :2], points + distances[0, :, 2:]], 1)
    inside = torch.from_numpy(holds_any(boxes.float().cpu().numpy(), np.array(clicks, np.float32)))
    near = torch.cat([_near(shape, i, clicks, click_reach(model.heads)) for i, shape in enumerate(shapes)])
    usable = (near.to(device) | (scores > SCORE_THRESHOLD)) & inside.to(device)
    places = usable.nonzero()[:, 0]
    places = places[nms(boxes[places], scores[places], NMS_IOU, limit)]
    kernels = gather_kernels(model, output, torch.zeros_like(places), places).float()
    return Candidates(scores[places], boxes[places], points[places], levels[places], kernels)


def _near(shape: tuple[int, int], level: int, clicks: Group, reach: int) -> Tensor:
    """Which cells of a level lie within ``reach`` cells of a click, bool ``[H · W]``."""
    near = torch.zeros(shape, dtype=torch.bool)
    for x, y in clicks:
        row, column = cell_of(x, y, STRIDES[level], *shape)
        near[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1] = True
    return near.flatten()
