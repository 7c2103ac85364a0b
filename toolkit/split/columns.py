"""The numbers of all records of a split as arrays: what an index and most statistics need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from toolkit.split.records import Annotation, ImageRecord

NO_GROUP = -1
"""Stands in the group column for an annotation without `group_id`."""


class ImageHeader(msgspec.Struct, gc=False):
    """The fields of an image record that its columns hold, and the two that its name can come from."""

    id: int
    width: int | float
    height: int | float
    file_name: str | None = None
    coco_url: str | None = None

    def __post_init__(self) -> None:
        if self.file_name is None and self.coco_url is None:
            raise ValueError("Object has neither `file_name` nor `coco_url`")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"Expected a size in pixels, got {self.width} × {self.height}")


class AnnotationHeader(msgspec.Struct, gc=False):
    """The fields of an annotation that its columns hold."""

    id: int
    image_id: int
    category_id: int = -1
    bbox: list[float] | None = None
    area: float | None = None
    iscrowd: int | bool = 0
    group_id: int | None = None


@dataclass(frozen=True)
class ImageColumns:
    """One entry per image: int64 [N] each."""

    id: np.ndarray
    width: np.ndarray
    height: np.ndarray


@dataclass(frozen=True)
class AnnotationColumns:
    """One entry per annotation.

    Attributes:
        id: int64 [N].
        image_id: int64 [N].
        category_id: int64 [N].
        bbox: float64 [N, 4], x, y, width, height in pixels; NaN where there is none.
        area: float64 [N], pixels; NaN where there is none.
        iscrowd: bool [N].
        group_id: int64 [N]; `NO_GROUP` where there is none.
    """

    id: np.ndarray
    image_id: np.ndarray
    category_id: np.ndarray
    bbox: np.ndarray
    area: np.ndarray
    iscrowd: np.ndarray
    group_id: np.ndarray


def image_columns(records: Sequence[ImageHeader] | Sequence[ImageRecord]) -> ImageColumns:
    """Collect the columns of image records or their headers."""
    return ImageColumns(*(_integers(records, name) for name in ("id", "width", "height")))


def annotation_columns(records: Sequence[AnnotationHeader] | Sequence[Annotation]) -> AnnotationColumns:
    """Collect the columns of annotations or their headers."""
    nan, count = float("nan"), len(records)
    nothing = (nan,) * 4
    boxes = [box if box is not None and len(box) == 4 else nothing for box in map(_BOX, records)]
    areas = [nan if area is None else area for area in map(_AREA, records)]
    groups = [NO_GROUP if group is None else group for group in map(_GROUP, records)]
    return AnnotationColumns(
        id=_integers(records, "id"),
        image_id=_integers(records, "image_id"),
        category_id=_integers(records, "category_id"),
        bbox=np.fromiter(chain.from_iterable(boxes), np.float64, 4 * count).reshape(count, 4),
        area=np.fromiter(areas, np.float64, count),
        iscrowd=_integers(records, "iscrowd").astype(bool),
        group_id=np.fromiter(groups, np.int64, count),
    )


def concatenate(parts: Sequence[Any]) -> Any:
    """Join columns of one kind, in order."""
    kind = type(parts[0])
    return kind(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(kind)))


def take(columns: Any, indices: np.ndarray) -> Any:
    """Return columns of the same kind with the records at `indices` only."""
    kind = type(columns)
    return kind(*(getattr(columns, field.name)[indices] for field in fields(kind)))


_BOX, _AREA, _GROUP = attrgetter("bbox"), attrgetter("area"), attrgetter("group_id")


def _integers(records: Sequence[Any], name: str) -> np.ndarray:
    return np.fromiter(map(attrgetter(name), records), np.int64, len(records))
