"""Photos to paste into: pixels, regions and what is annotated in them, from a split folder."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from synth.compositing.matching import jpeg_quality
from synth.objects.donors import licence_name
from synth.objects.filters import mask_fault, record_faults, region_under
from synth.regions.labels import REGION_NAMES
from synth.scene import Photo, SceneInstance
from synth.settings import SynthSettings
from toolkit.blending import PlacedMask
from toolkit.errors import InputError
from toolkit.image import open_image, open_index
from toolkit.split import Annotation, ImageRecord, Split, read_split
from toolkit.split.columns import take

SCENES_FILE = "scenes.json"
_NO_REGION = np.array([value not in REGION_NAMES for value in range(256)], np.uint8)


def read_photos(path: str | os.PathLike[str], images_dir: str | os.PathLike[str] | None = None) -> Split:
    """Open a split; or a folder of scenes as a split without annotations.

    A folder of scenes holds ``images/``, ``regions/`` and ``scenes.json``.

    Args:
        path: the folder, or a split's JSON file.
        images_dir: the folder of the photos, where it is not the usual one.

    Raises:
        InputError: it is neither.
    """
    root = Path(path)
    if not (root / SCENES_FILE).is_file() or (root / "annotations.json").is_file():
        return read_split(root, images_dir)
    try:
        entries = json.loads((root / SCENES_FILE).read_text(encoding="utf-8"))["images"]
        records = [
            ImageRecord(
                id=number,
                file_name=f"{entry['name']}.jpg",
                width=int(entry["width"]),
                height=int(entry["height"]),
                license=entry.get("license"),
                source=entry.get("source"),
            )
            for number, entry in enumerate(entries, start=1)
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{root / SCENES_FILE}: expected {{'images': [{{'name', 'width', 'height'}}]}} ({error})"
        ) from error
    return Split(root, records, [])


def regions_file(split: Split, record: ImageRecord, folder: Path | None = None) -> Path | None:
    """Find a photo's index map: the one its record names, one in ``regions/`` of the split, or in a folder.

    Args:
        split: the photo's split.
        record: the photo.
        folder: where else to look.

    Returns:
        The path of the PNG; None when there is none.
    """
    named = split.regions_path(record)
    if named is not None and named.is_file():
        return named
    for place in (split.root / "regions", folder):
        if place is not None and (path := cached_regions(place, record)).is_file():
            return path
    return None


def regions_folder(root: Path) -> Path | None:
    """Where a split keeps index maps, ``regions/`` beside its images; None when it may not be written to.

    The permission bits count for everybody, also for those who may write in spite of them.
    """
    if not os.access(root, os.W_OK) or not root.stat().st_mode & stat.S_IWUSR:
        return None
    return root / "regions"


def cached_regions(folder: Path, record: ImageRecord) -> Path:
    """Where a folder of index maps keeps the one of a photo."""
    return folder / Path(record.file_name).with_suffix(".png")


def open_regions(path: Path, height: int, width: int) -> np.ndarray:
    """Open an index map, uint8 [height, width].

    Raises:
        InputError: it is unreadable, of another size, or holds a value that is no region.
    """
    regions = open_index(path).astype(np.uint8)
    if regions.shape != (height, width):
        raise InputError(
            f"{path}: the map of regions is {regions.shape[1]}×{regions.shape[0]}, the photo {width}×{height}"
        )
    if cv2.hasNonZero(cv2.LUT(regions, _NO_REGION)):
        strange = next(value for value in np.unique(regions).tolist() if value not in REGION_NAMES)
        raise InputError(f"{path}: {strange} is no region; expected {', '.join(map(str, REGION_NAMES))}")
    return regions


def load_photo(
    split: Split,
    record: ImageRecord,
    regions: Path,
    settings: SynthSettings,
    category_map: dict[int, int],
    skipped: list[tuple[str, str]],
) -> Photo:
    """Open a photo with its regions and annotations.

    Args:
        split: the photo's split.
        record: the photo.
        regions: its index map.
        settings: of the synthesis.
        category_map: from the split's category ids to those of the split that is being made.
        skipped: annotations that can't be used are added here, with the reason.

    Raises:
        InputError: the photo or its regions can't be used.
    """
    path = split.image_path(record)
    image = open_image(path)
    height, width = image.shape[:2]
    if (height, width) != (record.height, record.width):
        raise InputError(
            f"{path}: the file is {width}×{height}, the record says {record.width}×{record.height}"
        )
    index_map = open_regions(regions, height, width)
    masks, annotations = [], []
    for annotation in split.annotations_of(record.id):
        name = f"{record.file_name} annotation {annotation.id}"
        if annotation.category_id not in category_map:
            skipped.append((name, f"category {annotation.category_id} is not in the split's list"))
            continue
        try:
            placed = PlacedMask.from_full(annotation.mask(height, width))
        except InputError as error:
            skipped.append((name, str(error)))
            continue
        if placed.area == 0:
            skipped.append((name, "its mask is empty, or lies outside the image"))
            continue
        masks.append(placed)
        annotations.append(annotation)
    instances = _instances(split, record, annotations, masks, index_map, settings, category_map)
    photo = Photo(
        image, index_map, instances, record.file_name, licence_name(split, record), file_quality(path)
    )
    return shrink(photo, settings.longest_side, settings.objects.min_side)


def _instances(
    split: Split,
    record: ImageRecord,
    annotations: list[Annotation],
    masks: list[PlacedMask],
    regions: np.ndarray,
    settings: SynthSettings,
    category_map: dict[int, int],
) -> list[SceneInstance]:
    columns = take(split.annotation_columns, split.annotation_indices_of(record.id))
    sizes = np.full(len(columns.id), record.width), np.full(len(columns.id), record.height)
    faults = record_faults(columns, *sizes, settings.objects).values()
    unfit = set(columns.id[np.logical_or.reduce(list(faults))].tolist()) if len(columns.id) else set()
    groups = _groups(annotations)
    instances = []
    for number, (annotation, placed) in enumerate(zip(annotations, masks, strict=True)):
        region = region_under(placed, regions)
        others = masks[:number] + masks[number + 1 :]
        copyable = annotation.id not in unfit and mask_fault(placed, others, settings.objects) is None
        instances.append(
            SceneInstance(
                placed=placed,
                category_id=category_map[annotation.category_id],
                group_id=groups[number],
                origin={"kind": "real", **(annotation.origin or {})},
                full_area=placed.area,
                iscrowd=annotation.iscrowd,
                annotation=annotation.id,
                region=region,
                copyable=copyable,
                rle=annotation.rle(record.height, record.width),
            )
        )
    return instances


def _groups(annotations: list[Annotation]) -> list[int]:
    """The groups as given; objects without one are siblings of those of their category in the photo."""
    numbers = [annotation.group_id for annotation in annotations if annotation.group_id is not None]
    following = max(numbers, default=0) + 1
    by_category: dict[int, int] = {}
    groups = []
    for annotation in annotations:
        if annotation.group_id is not None:
            groups.append(annotation.group_id)
            continue
        if annotation.category_id not in by_category:
            by_category[annotation.category_id] = following
            following += 1
        groups.append(by_category[annotation.category_id])
    return groups


def file_quality(path: Path) -> int | None:
    """JPEG quality that a file was saved with; None for other formats."""
    try:
        with Image.open(path) as image:
            tables = getattr(image, "quantization", None)
    except OSError:
        return None
    return jpeg_quality(float(sum(tables[0]))) if tables else None


def shrink(photo: Photo, longest_side: int | None, min_side: int = 1) -> Photo:
    """Scale a photo down so that its longer side is at most so many pixels.

    Objects that vanish are left out; those that get smaller than ``min_side`` are not copied any more.
    """
    height, width = photo.image.shape[:2]
    if longest_side is None or max(height, width) <= longest_side:
        return photo
    scale = longest_side / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    instances = []
    for instance in photo.instances:
        full = instance.placed.full(height, width).astype(np.uint8) * np.uint8(255)
        placed = PlacedMask.from_full(cv2.resize(full, size, interpolation=cv2.INTER_AREA) >= 128)
        if placed.area:
            copyable = instance.copyable and min(placed.mask.shape) >= min_side
            instances.append(
                replace(instance, placed=placed, full_area=placed.area, copyable=copyable, rle=None)
            )
    return Photo(
        cv2.resize(photo.image, size, interpolation=cv2.INTER_AREA),
        cv2.resize(photo.regions, size, interpolation=cv2.INTER_NEAREST),
        instances,
        photo.name,
        photo.license,
        photo.quality,
    )
