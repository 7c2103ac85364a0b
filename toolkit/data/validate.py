"""Find every broken record of a split and say what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit import masks
from toolkit.data.progress import track
from toolkit.errors import InputError
from toolkit.image import image_size, open_image
from toolkit.split import Annotation, ImageRecord, Split
from toolkit.split.reading import Malformed
from toolkit.split.records import segmentation_to_rle

MALFORMED, DUPLICATE_ID, DUPLICATE_NAME = "malformed record", "duplicate id", "duplicate file name"
MISSING_IMAGE, UNREADABLE_IMAGE, SIZE_MISMATCH = "missing image", "unreadable image", "size mismatch"
UNKNOWN_IMAGE, UNKNOWN_CATEGORY = "unknown image", "unknown category"
BAD_RLE, BAD_POLYGON, EMPTY_MASK, OUTSIDE = "bad RLE", "bad polygon", "empty mask", "mask outside the image"

# How far a polygon may reach over the border, pixels: published files round coordinates.
MARGIN = 1.0
# Images handed to the workers at a time.
BLOCK = 64


@dataclass(frozen=True)
class Problem:
    """One broken record: what kind of fault, which record, and what exactly is wrong."""

    kind: str
    record: str
    detail: str


def validate(
    split: Split, malformed: Sequence[Malformed] = (), *, decode: bool = True, workers: int = 1
) -> list[Problem]:
    """Check every record of a split.

    Args:
        split: The split.
        malformed: The records that could not be read, as `read_split` found them.
        decode: Whether to decode every image in full, which also finds truncated files.
        workers: How many images to decode at a time.

    Returns:
        All problems; none when the split is sound.
    """
    problems = [Problem(MALFORMED, f"{record.table}[{record.index}]", record.problem) for record in malformed]
    problems += _check_tables(split)
    problems += _check_images(split, decode, workers)
    for record in track(split, "checking masks"):
        for annotation in split.annotations_of(record.id):
            problem = check_mask(annotation, record)
            if problem is not None:
                problems.append(problem)
    return list(dict.fromkeys(problems))  # two images with one id share their annotations


def _check_tables(split: Split) -> Iterator[Problem]:
    """Check ids and what they refer to, for all records at once."""
    images, columns = split.image_columns, split.annotation_columns
    category_ids = np.array([category["id"] for category in split.categories], np.int64)
    for table, ids in (("image", images.id), ("annotation", columns.id), ("category", category_ids)):
        values, counts = np.unique(ids, return_counts=True)
        for value, count in zip(values[counts > 1].tolist(), counts[counts > 1].tolist(), strict=True):
            yield Problem(
                DUPLICATE_ID, f"{table} {value}", f"{count} records have this id; give each its own"
            )
    for index in np.flatnonzero(~np.isin(columns.image_id, images.id)):
        detail = f"its image_id {columns.image_id[index]} is no image's id"
        yield Problem(UNKNOWN_IMAGE, f"annotation {columns.id[index]}", detail)
    for index in np.flatnonzero(~np.isin(columns.category_id, category_ids)):
        detail = f"its category_id {columns.category_id[index]} is no category's id"
        yield Problem(UNKNOWN_CATEGORY, f"annotation {columns.id[index]}", detail)


def _check_images(split: Split, decode: bool, workers: int) -> Iterator[Problem]:
    """Check every image record against its file."""
    first_with: dict[str, int] = {}
    for record in split:
        if (first := first_with.setdefault(record.file_name, record.id)) != record.id:
            detail = f"image {first} has the file name {record.file_name} too"
            yield Problem(DUPLICATE_NAME, f"image {record.id}", detail)

    with ThreadPoolExecutor(max_workers=workers) as pool:
        # Block by block, so that an interrupt need not wait for all images.
        for start in track(range(0, len(split), BLOCK), "checking images"):
            records = split.images[start : start + BLOCK]
            found = pool.map(lambda record: check_image(split, record, decode), records)
            for record, problems in zip(records, found, strict=True):
                for kind, detail in problems:
                    yield Problem(kind, f"image {record.id} ({record.file_name})", detail)


def check_image(split: Split, record: ImageRecord, decode: bool) -> list[tuple[str, str]]:
    """Return what is wrong with an image's file and its map of regions: kind and detail of each fault."""
    problems = []
    try:
        path = split.image_path(record)
        if not path.is_file():
            return [(MISSING_IMAGE, f"there is no file {path}")]
        height, width = open_image(path).shape[:2] if decode else image_size(path)
    except InputError as error:
        return [(UNREADABLE_IMAGE, str(error))]
    if (height, width) != (record.height, record.width):
        detail = f"the file is {width} × {height}, the record says {record.width} × {record.height}"
        if (height, width) == (record.width, record.height):
            detail += "; the EXIF orientation turns the photo, so masks were drawn on the photo unturned"
        problems.append((SIZE_MISMATCH, detail))
    try:
        regions = split.regions_path(record)
        if regions is not None and not regions.is_file():
            problems.append((MISSING_IMAGE, f"there is no file {regions}, its map of regions"))
        elif regions is not None and (found := image_size(regions)) != (height, width):
            problems.append((SIZE_MISMATCH, f"its map of regions is {found[1]} × {found[0]}"))
    except InputError as error:
        problems.append((UNREADABLE_IMAGE, f"its map of regions: {error}"))
    return problems


def check_mask(annotation: Annotation, record: ImageRecord) -> Problem | None:
    """Return what is wrong with a mask, None where it is sound."""
    kind_and_detail = _mask_fault(annotation.segmentation, record.height, record.width)
    if kind_and_detail is None:
        return None
    kind, detail = kind_and_detail
    return Problem(kind, f"annotation {annotation.id} (image {record.id}, {record.file_name})", detail)


def _mask_fault(segmentation: Any, height: int, width: int) -> tuple[str, str] | None:
    if not segmentation:
        return EMPTY_MASK, "it has no segmentation"
    if not isinstance(segmentation, dict | list):
        return BAD_POLYGON, f"its segmentation is a {type(segmentation).__name__}, expected polygons or RLE"
    if isinstance(segmentation, list):
        fault = _polygon_fault(segmentation, height, width)
        if fault is not None:
            return fault
    elif segmentation.get("size") != [height, width]:
        return SIZE_MISMATCH, f"its mask has size {segmentation.get('size')}, its image {[height, width]}"
    try:
        area = masks.rle_area(segmentation_to_rle(segmentation, height, width))
    except InputError as error:
        return (BAD_POLYGON if isinstance(segmentation, list) else BAD_RLE), str(error)
    return (EMPTY_MASK, "its mask has no pixel") if area == 0 else None


def _polygon_fault(polygons: list[Any], height: int, width: int) -> tuple[str, str] | None:
    for index, polygon in enumerate(polygons):
        name = f"polygon {index}"
        if not isinstance(polygon, list) or not all(isinstance(v, int | float) for v in polygon):
            return BAD_POLYGON, f"{name} is not a list of numbers x1, y1, x2, y2, …"
        if len(polygon) < 6 or len(polygon) % 2:
            return BAD_POLYGON, f"{name} has {len(polygon)} numbers, expected pairs for at least 3 points"
        if not all(map(math.isfinite, polygon)):
            return BAD_POLYGON, f"{name} has a coordinate that is no finite number"
        left, right, top, bottom = (
            min(polygon[::2]),
            max(polygon[::2]),
            min(polygon[1::2]),
            max(polygon[1::2]),
        )
        if left < -MARGIN or top < -MARGIN or right > width + MARGIN or bottom > height + MARGIN:
            detail = (
                f"{name} spans x {left:g}…{right:g}, y {top:g}…{bottom:g} in an image of {width} × {height}"
            )
            return OUTSIDE, detail
    return None
