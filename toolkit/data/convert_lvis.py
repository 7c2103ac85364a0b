"""Write a split as LVIS JSON: COCO without crowds, with federated labels and category frequencies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.data.convert_coco import card_of
from toolkit.data.copying import copy_images
from toolkit.data.losses import Losses
from toolkit.report import Report
from toolkit.split import Annotation, ImageRecord, Split, SplitWriter

# Images a category appears in: rare up to 10, common up to 100, else frequent (LVIS, CVPR 2019, section 3).
RARE_IMAGES, COMMON_IMAGES = 10, 100


def write_lvis(split: Split, out: Path, report: Report, *, link: bool = False) -> None:
    """Write a split folder whose `annotations.json` is LVIS JSON.

    Images get empty `neg_category_ids` and `not_exhaustive_category_ids` where they have none: then nothing
    is claimed about categories that are not annotated. Crowds are left out and listed.

    Args:
        split: What to write.
        out: The folder; made where missing.
        report: Where crowds and images without a file are listed.
        link: Whether to link images instead of copying them.

    Raises:
        InputError: The folder holds a finished split, or two records share an id.
    """
    losses = Losses(report, "LVIS")

    def change(record: ImageRecord, annotations: list[Annotation]) -> tuple[ImageRecord, list[Annotation]]:
        for annotation in annotations:
            if annotation.iscrowd:
                losses.of(record, annotation, "left out: LVIS has no crowds")
        federated: dict[str, list[int]] = {"neg_category_ids": [], "not_exhaustive_category_ids": []}
        record = replace(record, extra={**federated, **record.extra})
        return record, [annotation for annotation in annotations if not annotation.iscrowd]

    with SplitWriter(
        out,
        categories=lvis_categories(split),
        info=split.info,
        licenses=split.licenses,
        card=card_of(split),
        link=link,
    ) as writer:
        copy_images(split, writer, report, "writing LVIS", change)


def lvis_categories(split: Split) -> list[Mapping[str, Any]]:
    """Return the categories with their counts and `frequency` (r, c or f); crowds do not count."""
    columns = split.annotation_columns
    kept = ~columns.iscrowd
    pairs = np.stack([columns.category_id[kept], columns.image_id[kept]], axis=1)  # [n, 2]
    instance_counts = _counts(pairs[:, 0])
    image_counts = _counts(np.unique(pairs, axis=0)[:, 0])
    categories: list[Mapping[str, Any]] = []
    for category in split.categories:
        images = image_counts.get(category["id"], 0)
        frequency = "r" if images <= RARE_IMAGES else "c" if images <= COMMON_IMAGES else "f"
        instances = instance_counts.get(category["id"], 0)
        fields = {"instance_count": instances, "image_count": images, "frequency": frequency}
        categories.append({**category, **fields})
    return categories


def _counts(values: np.ndarray) -> dict[int, int]:
    distinct, counts = np.unique(values, return_counts=True)
    return dict(zip(distinct.tolist(), counts.tolist(), strict=True))
