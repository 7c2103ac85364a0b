"""Refine the objects that were found in a photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.one_click.dynamic_masks import MASK_STRIDE
from models.one_click.found_object import CELL_PLACE
from models.placed_object import PlacedObject
from models.refiner.crops import RefinerInputs, Square, cut_crops, square_around
from models.refiner.model import PRIOR_LIMIT, REFINED_STRIDE, RefinerModel

MOST_AT_ONCE = 32  # crops in a batch
# Of the change of the logits, what is taken: both masks have errors of their own (models/RESULTS.md).
TRUST = 0.5


@dataclass(frozen=True)
class Copy:
    """A copy of a photo.

    Attributes:
        image: uint8 ``[3, H, W]`` RGB, without padding.
        scale: Its pixels per pixel of the photo.
    """

    image: Tensor
    scale: float


@torch.no_grad()
def refine(
    model: RefinerModel, copies: Sequence[Copy], items: Sequence[PlacedObject]
) -> list[tuple[PlacedObject, float]]:
    """Look again at some objects of one photo, each in a crop of its own.

    Args:
        model: The refiner.
        copies: Of the photo; a crop is cut out of the smallest that shows all of its pixels.
        items: The objects.

    Returns:
        Each object refined, and the expected IoU of its mask, 0–1. An object stays as it was where nothing
        is left of it, or where it held a click and would not any more.
    """
    results: list[tuple[PlacedObject, float]] = []
    for start in range(0, len(items), MOST_AT_ONCE):
        results += _refine_batch(model, copies, items[start : start + MOST_AT_ONCE])
    return results


def _refine_batch(
    model: RefinerModel, copies: Sequence[Copy], items: Sequence[PlacedObject]
) -> list[tuple[PlacedObject, float]]:
    size = model.config.crop
    squares = [on_cells(square_around(item, model.config.context), size) for item in items]
    parts = []
    for item, square in zip(items, squares, strict=True):
        copy = copy_for(copies, size / square[2])
        cut = cut_crops(copy.image, copy.scale, [item], [square], size)
        parts.append(cut.to(model.device))  # the photo itself lies where the networks need not
    inputs = RefinerInputs.join(parts)
    refined = model(inputs.pixels, inputs.prior, inputs.clicks)
    before = F.avg_pool2d(inputs.prior.clamp(-PRIOR_LIMIT, PRIOR_LIMIT), REFINED_STRIDE)[:, 0]
    mended = before + TRUST * (refined.logits.float() - before)
    masks, quality = mended.cpu().numpy(), refined.quality.sigmoid().tolist()
    return [
        (_placed(item, square, mask), own)
        for item, square, mask, own in zip(items, squares, masks, quality, strict=True)
    ]


def copy_for(copies: Sequence[Copy], scale: float) -> Copy:
    """The smallest copy of at least some scale, or the largest there is."""
    fine = [copy for copy in copies if copy.scale >= scale]
    return min(fine, key=lambda c: c.scale) if fine else max(copies, key=lambda c: c.scale)


def on_cells(square: Square, size: int) -> Square:
    """Move a square by less than a cell, so that its refined mask lies on the cells of a copy of the photo.

    Of that copy's cells (see `FoundObject`), one is `REFINED_STRIDE` pixels of the crop.

    Args:
        square: Pixels of the photo.
        size: Side of the crop.
    """
    left, top, side = square
    cell = side / size * REFINED_STRIDE
    # a refined value lies in the middle of its pixels; a found object's at CELL_PLACE of its cell
    shift = CELL_PLACE / MASK_STRIDE - 0.5
    column, row = round(left / cell - shift), round(top / cell - shift)
    return (column + shift) * cell, (row + shift) * cell, side


def _placed(item: PlacedObject, square: Square, logits: np.ndarray) -> PlacedObject:
    """An object with the refined mask of a square from :func:`on_cells`."""
    cell = square[2] / len(logits)
    scale = MASK_STRIDE / cell
    column, row = int(square[0] // cell), int(square[1] // cell)
    clicks = tuple((x * scale / item.scale, y * scale / item.scale) for x, y in item.found.clicks)
    found = replace(  # without the cells before the photo's first
        item.found,
        logits=np.ascontiguousarray(logits[max(-row, 0) :, max(-column, 0) :]),
        top=max(row, 0),
        left=max(column, 0),
        clicks=clicks,
    )
    placed = PlacedObject(found, scale)
    if not (found.logits > 0).any():
        return item
    points = [(x / item.scale, y / item.scale) for x, y in item.found.clicks]
    kept = all(placed.holds(*point) for point in points if item.holds(*point))
    return placed if kept else item
