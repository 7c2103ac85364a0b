"""The two records of a split, images and annotations, and their form in COCO JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from toolkit import masks
from toolkit.errors import InputError

NEW_ID = -1
"""Stands for an id that is not given yet: the writer gives the next free one."""

Segmentation = list[list[float]] | Mapping[str, Any]
"""Polygons `[[x1, y1, x2, y2, …], …]`, or a run-length code `{"size": [H, W], "counts": str or list}`."""


@dataclass(frozen=True)
class ImageRecord:
    """One image of a split.

    Attributes:
        id: Unique within the split.
        file_name: Path below the image folder, with forward slashes.
        width: Pixels, after EXIF orientation.
        height: Pixels, after EXIF orientation.
        license: An id of the split's `licenses` list, or the licence in words.
        source: Where the image comes from, in words.
        regions: Path of the index PNG of semantic regions, below the image folder.
        extra: All other fields of the record, kept as they are (LVIS's `neg_category_ids`, `coco_url`, …).
    """

    id: int
    file_name: str
    width: int
    height: int
    license: int | str | None = None
    source: str | None = None
    regions: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Annotation:
    """One annotated object, its mask kept in the form it has on file until asked for.

    Attributes:
        id: Unique within the split; `NEW_ID` until written.
        image_id: The image it belongs to; `NEW_ID` until written.
        category_id: An id of the split's categories.
        segmentation: Polygons or a run-length code as on file; None where there is only a box.
        bbox: `(x, y, width, height)` in pixels.
        area: Pixels of the mask, as on file.
        iscrowd: 1 where the mask covers a crowd that nobody separated, else 0.
        group_id: Siblings within one image share it.
        origin: How the object came into the photo, as `{"kind": "real"}` or `{"kind": "pasted", …}`.
        extra: All other fields of the record, kept as they are.
    """

    id: int = NEW_ID
    image_id: int = NEW_ID
    category_id: int = NEW_ID
    segmentation: Segmentation | None = field(default=None, hash=False)
    bbox: tuple[float, float, float, float] | None = None
    area: float | None = None
    iscrowd: int = 0
    group_id: int | None = None
    origin: Mapping[str, Any] | None = field(default=None, hash=False)
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def rle(self, height: int, width: int) -> dict[str, Any]:
        """Return the mask as a compressed run-length code of an image of `height` × `width` pixels.

        Raises:
            InputError: The segmentation is malformed, or was drawn on an image of another size.
        """
        try:
            return segmentation_to_rle(self.segmentation, height, width)
        except InputError as error:
            raise InputError(f"annotation {self.id}: {error}") from error

    def mask(self, height: int, width: int) -> np.ndarray:
        """Return the mask as bool [height, width]."""
        return masks.rle_to_mask(self.rle(height, width))


def segmentation_to_rle(segmentation: Segmentation | None, height: int, width: int) -> dict[str, Any]:
    """Turn either form of segmentation into a compressed run-length code; none at all is an empty mask."""
    if segmentation is None:
        segmentation = []
    if isinstance(segmentation, Mapping):
        size = segmentation.get("size")
        if not isinstance(size, list | tuple) or list(size) != [height, width]:
            raise InputError(f"its mask has size {size}, expected [{height}, {width}], the size of the image")
        counts = segmentation.get("counts")
        if isinstance(counts, str):
            return {"size": [height, width], "counts": counts}
        return masks.mask_to_rle(masks.rle_to_mask(dict(segmentation)))
    if not isinstance(segmentation, list | tuple):
        raise InputError(f"its segmentation is a {type(segmentation).__name__}, expected polygons or RLE")
    return masks.coco_polygons_to_rle(list(segmentation), height, width)


def image_from_json(record: dict[str, Any]) -> ImageRecord:
    """Build an image record from its JSON object; LVIS's missing `file_name` comes from `coco_url`."""
    fields = dict(record)
    name = fields.pop("file_name", None)
    if name is None:
        # LVIS as published: the last two parts of the URL are the COCO folder and the file.
        name = "/".join(str(fields.get("coco_url", "")).split("/")[-2:])
    licence, source, regions = (fields.get(key) for key in ("license", "source", "regions"))
    return ImageRecord(
        id=int(fields.pop("id")),
        file_name=name,
        width=int(fields.pop("width")),
        height=int(fields.pop("height")),
        license=fields.pop("license") if isinstance(licence, int | str) else None,
        source=fields.pop("source") if isinstance(source, str) else None,
        regions=fields.pop("regions") if isinstance(regions, str) else None,
        extra=fields,
    )


def image_to_json(image: ImageRecord) -> dict[str, Any]:
    """Return the JSON object of an image record, the inverse of `image_from_json`."""
    record = {"id": image.id, "file_name": image.file_name, "width": image.width, "height": image.height}
    for name in ("license", "source", "regions"):
        if (value := getattr(image, name)) is not None:
            record[name] = value
    return {**record, **image.extra}


def annotation_from_json(record: dict[str, Any]) -> Annotation:
    """Build an annotation from its JSON object."""
    fields = dict(record)
    box = fields.pop("bbox", None)
    box = (box[0], box[1], box[2], box[3]) if isinstance(box, list | tuple) and len(box) == 4 else None
    origin = fields.get("origin")
    return Annotation(
        id=fields.pop("id", NEW_ID),
        image_id=fields.pop("image_id", NEW_ID),
        category_id=fields.pop("category_id", NEW_ID),
        segmentation=fields.pop("segmentation", None),
        bbox=box,
        area=fields.pop("area", None),
        iscrowd=int(fields.pop("iscrowd", 0)),
        group_id=fields.pop("group_id", None),
        origin=fields.pop("origin") if isinstance(origin, Mapping) else None,
        extra=fields,
    )


def annotation_to_json(annotation: Annotation) -> dict[str, Any]:
    """Return the JSON object of an annotation, the inverse of `annotation_from_json`."""
    record: dict[str, Any] = {
        "id": annotation.id,
        "image_id": annotation.image_id,
        "category_id": annotation.category_id,
        "segmentation": annotation.segmentation,
        "area": annotation.area,
        "bbox": annotation.bbox,
        "iscrowd": annotation.iscrowd,
    }
    if annotation.group_id is not None:
        record["group_id"] = annotation.group_id
    if annotation.origin is not None:
        record["origin"] = annotation.origin
    return {**record, **annotation.extra}
