"""Quick validation of 1C-DSN while it trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import nn

from models.one_click import OneClickModel
from models.one_click.finder import ObjectFinder
from models.refiner import RefinerModel
from models.selector import Selector
from models.view import SelectionModels
from toolkit.clicks import center_click
from toolkit.errors import InputError
from toolkit.masks import mask_iou
from toolkit.split import ImageRecord, Split, read_split


def photos_with_objects(folder: Path) -> tuple[Split, list[ImageRecord]]:
    """Read a validation split.

    Raises:
        InputError: There is none, or it holds no object.
    """
    data = read_split(folder)
    records = [r for r in data.images if any(not a.iscrowd for a in data.annotations_of(r.id))]
    if not records:
        raise InputError(f"data.val: no image with an object in {folder}")
    return data, records


def one_click_score(
    model: nn.Module, split: Path, photos: int, refiner: RefinerModel | None = None
) -> dict[str, float]:
    """Mean IoU of one click in the centre of each object of some photos; nothing found counts as 0.

    Args:
        model: The 1C-DSN, or what distributes it; left in the mode it was in.
        split: Folder of the validation split.
        photos: So many, evenly spread over the split.
        refiner: Mends what it finds, where there is one.

    Returns:
        ``score`` and ``objects``, their number.

    Raises:
        InputError: The photos hold no object.
    """
    network = getattr(model, "module", model)
    if not isinstance(network, OneClickModel):
        raise TypeError(f"expected a OneClickModel, got {type(network).__name__}")
    data, records = photos_with_objects(split)
    training = network.training
    network.eval()
    selector = Selector(SelectionModels(ObjectFinder(network), None, None, refiner=refiner))
    ious: list[float] = []
    try:
        for index in np.unique(np.linspace(0, len(records) - 1, max(photos, 1)).round().astype(int)):
            record = records[index]
            annotations = [a for a in data.annotations_of(record.id) if not a.iscrowd]
            masks = [m for a in annotations if (m := a.mask(record.height, record.width)).any()]
            found = selector.encode(data.open_image(record)).segment_each([center_click(m) for m in masks])
            ious += [0.0 if f is None else mask_iou(f.mask, m) for f, m in zip(found, masks, strict=True)]
    finally:
        network.train(training)
    return {"score": float(np.mean(ious)) if ious else 0.0, "objects": float(len(ious))}
