"""Quick validation of a click-by-click system while it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from models.systems.clicking.scene import InteractiveScene
from models.systems.clicking.stepper import Stepper
from models.tasks.validation import photos_with_objects
from toolkit.clicks import Click, next_click
from toolkit.masks import mask_iou

CLICKS = 3  # how many are made on each object
OBJECTS = 4  # of one photo that are clicked, the first ones


def click_scores(stepper: Stepper[Any], split: Path, photos: int) -> dict[str, float]:
    """Mean IoU after 1 and after 3 clicks, each where the mask before is most wrong.

    Args:
        stepper: Of the network.
        split: Folder of the validation split.
        photos: So many, evenly spread over the split; at most four objects of each.

    Returns:
        ``score`` (the mean of both), ``miou_1``, ``miou_3`` and ``objects``, their number.

    Raises:
        InputError: The photos hold no object.
    """
    data, records = photos_with_objects(split)
    first: list[float] = []
    last: list[float] = []
    for index in np.unique(np.linspace(0, len(records) - 1, max(photos, 1)).round().astype(int)):
        record = records[index]
        annotations = [a for a in data.annotations_of(record.id) if not a.iscrowd]
        masks = [m for a in annotations if (m := a.mask(record.height, record.width)).any()]
        scene = InteractiveScene(data.open_image(record), stepper)
        for mask in masks[:OBJECTS]:
            ious = _click(scene, mask)
            first.append(ious[0])
            last.append(ious[-1])
    if not first:
        return {"score": 0.0, "objects": 0.0}
    one, three = float(np.mean(first)), float(np.mean(last))
    return {"score": (one + three) / 2, "miou_1": one, "miou_3": three, "objects": float(len(first))}


def _click(scene: InteractiveScene[Any], truth: np.ndarray) -> list[float]:
    clicks: list[Click] = []
    mask = np.zeros_like(truth)
    ious: list[float] = []
    for _ in range(CLICKS):
        spot = next_click(truth, mask, clicks)
        if spot is None:
            break
        clicks.append(spot)
        found = scene.segment(clicks)
        mask = np.zeros_like(truth) if found is None else found.mask
        ious.append(mask_iou(truth, mask))
    return ious
