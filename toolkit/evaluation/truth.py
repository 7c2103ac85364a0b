"""The objects of a split as a protocol needs them, and what of them cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.errors import InputError
from toolkit.exemplars import FIELD
from toolkit.masks import rle_area, rle_to_mask
from toolkit.report import Report
from toolkit.split import Annotation, ImageRecord, Split
from toolkit.split.records import segmentation_to_rle


@dataclass(frozen=True)
class ObjectTruth:
    """One annotated object: its mask as RLE, its `area` on file in pixels (the mask's where none is).

    `ignore` is the RLE of pixels that count neither as the object nor as something else, where it has some;
    `exemplar` its field of that name on file (see `toolkit.exemplars`).
    """

    id: int
    rle: Mapping[str, Any]
    area: float
    crowd: bool
    group: int | None
    ignore: Mapping[str, Any] | None = None
    exemplar: Any = None


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
            ignore = _ignored(annotation, record)
            pixels = rle_area(rle)
        except InputError as error:
            report.add_skipped(item, str(error))
            continue
        if pixels == 0:
            report.add_skipped(item, "its mask is empty")
            continue
        area = float(pixels if annotation.area is None else annotation.area)
        crowd, group = bool(annotation.iscrowd), annotation.group_id
        exemplar = annotation.extra.get(FIELD)
        objects.append(ObjectTruth(annotation.id, rle, area, crowd, group, ignore, exemplar))
    return PhotoTruth(record, tuple(objects))


def _ignored(annotation: Annotation, record: ImageRecord) -> Mapping[str, Any] | None:
    ignore = annotation.extra.get("ignore")
    return segmentation_to_rle(ignore, record.height, record.width) if isinstance(ignore, Mapping) else None


def mask_of(found: ObjectTruth) -> np.ndarray:
    """Return the mask, bool [H, W]."""
    return rle_to_mask(found.rle)


def ignored_of(found: ObjectTruth) -> np.ndarray | None:
    """Return the pixels that count neither way, bool [H, W]; None where there are none."""
    return None if found.ignore is None else rle_to_mask(found.ignore)
