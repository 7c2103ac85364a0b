"""The objects of a split as a protocol needs them, and what of them cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.errors import InputError
from toolkit.masks import rle_area, rle_to_mask
from toolkit.report import Report
from toolkit.split import ImageRecord, Split


@dataclass(frozen=True)
class ObjectTruth:
    """One annotated object: its mask as RLE, its `area` on file in pixels (the mask's where none is)."""

    id: int
    rle: Mapping[str, Any]
    area: float
    crowd: bool
    group: int | None


@dataclass(frozen=True)
class PhotoTruth:
    """One photo's objects."""

    record: ImageRecord
    objects: tuple[ObjectTruth, ...]

    def objects_to_find(self) -> list[ObjectTruth]:
        """Return all objects but crowds."""
        return [found for found in self.objects if not found.crowd]

    def groups(self) -> dict[int, list[ObjectTruth]]:
        """Return the siblings of every group in which there is one to click, crowds among them."""
        members: dict[int, list[ObjectTruth]] = {}
        for found in self.objects:
            if found.group is not None:
                members.setdefault(found.group, []).append(found)
        return {
            group: siblings
            for group, siblings in sorted(members.items())
            if not all(sibling.crowd for sibling in siblings)
        }


def read_truth(split: Split, record: ImageRecord, report: Report) -> PhotoTruth:
    """Decode the annotations of a photo; broken and empty ones go to the report."""
    objects = []
    for annotation in split.annotations_of(record.id):
        item = f"{record.file_name}: annotation {annotation.id}"
        try:
            rle = annotation.rle(record.height, record.width)
            pixels = rle_area(rle)
        except InputError as error:
            report.add_skipped(item, str(error))
            continue
        if pixels == 0:
            report.add_skipped(item, "its mask is empty")
            continue
        area = float(pixels if annotation.area is None else annotation.area)
        objects.append(ObjectTruth(annotation.id, rle, area, bool(annotation.iscrowd), annotation.group_id))
    return PhotoTruth(record, tuple(objects))


def mask_of(found: ObjectTruth) -> np.ndarray:
    """Return the mask, bool [H, W]."""
    return rle_to_mask(found.rle)
