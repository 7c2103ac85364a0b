"""COCO panoptic: a JSON of segments, and beside it a folder of its name with a PNG of segment ids per image.

A pixel's segment id is R + 256 G + 256² B; 0 is void (https://cocodataset.org/#format-data, section 4).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import masks
from toolkit.data.progress import track
from toolkit.errors import InputError
from toolkit.image import open_image
from toolkit.report import Report
from toolkit.split import Annotation, ImageRecord, Split
from toolkit.split.records import image_from_json

VOID = 0
NAMES = "panoptic_"  # panoptic_val2017.json, panoptic_val2017/ and the photos in val2017/


def is_panoptic(path: Path) -> bool:
    """Whether a path is a JSON file beside a folder of its name that holds PNGs."""
    folder = path.with_suffix("")
    return path.suffix == ".json" and folder.is_dir() and any(folder.glob("*.png"))


def segment_ids(pixels: np.ndarray) -> np.ndarray:
    """Turn a panoptic PNG, uint8 ``[H, W, 3]``, into segment ids, int64 ``[H, W]``."""
    return pixels.astype(np.int64) @ np.array([1, 256, 256**2])


def read_panoptic(path: Path, report: Report, images_dir: Path | None = None) -> Split:
    """Read a COCO panoptic JSON file and its PNGs; each segment, thing or stuff, is an annotation.

    Segments are no groups: what is a sibling of what is not said there. `isthing` stays with the categories.

    Args:
        path: The JSON file.
        report: Where images without PNG, and segments in one of JSON and PNG only, are listed.
        images_dir: Where the photos are; by default the folder that the JSON file is named after (val2017 for
            panoptic_val2017.json) beside it or beside its folder, or `images` beside it, else the JSON file's
            own folder.

    Raises:
        InputError: The file is not such a JSON.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        entries = {entry["image_id"]: entry for entry in table["annotations"]}
        images = [image_from_json(dict(record)) for record in table["images"]]
        categories = list(table["categories"])
        if any("segments_info" not in entry or "file_name" not in entry for entry in entries.values()):
            raise KeyError("segments_info or file_name")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: expected COCO panoptic JSON with images, annotations (image_id, file_name, "
            f"segments_info) and categories ({error})"
        ) from error
    annotations: list[Annotation] = []
    kept: list[ImageRecord] = []
    for record in track(images, "reading panoptic PNGs"):
        entry = entries.get(record.id)
        if entry is None:
            report.add_skipped(record.file_name, "no annotation names this image")
            continue
        try:
            found = list(_segments(path.with_suffix("") / entry["file_name"], entry, record, report))
        except InputError as error:
            report.add_skipped(record.file_name, str(error))
            continue
        kept.append(record)
        for segment, rle in found:
            annotations.append(
                Annotation(
                    len(annotations) + 1,
                    record.id,
                    segment["category_id"],
                    segmentation=rle,
                    iscrowd=int(segment.get("iscrowd", 0)),
                )
            )
    folder = images_dir or _photos(path)
    return Split(path.parent, kept, annotations, categories=categories, images_dir=folder)


def _segments(
    png: Path, entry: Mapping[str, Any], record: ImageRecord, report: Report
) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    """Each segment that JSON and PNG both have, with its mask as RLE."""
    ids = segment_ids(open_image(png))
    if ids.shape != (record.height, record.width):
        raise InputError(
            f"{png.name} is {ids.shape[1]} × {ids.shape[0]}, its image {record.width} × {record.height}"
        )
    present = set(np.unique(ids).tolist()) - {VOID}
    for segment in entry["segments_info"]:
        if segment["id"] in present:
            present.remove(segment["id"])
            yield segment, masks.mask_to_rle(ids == segment["id"])
        else:
            report.add_skipped(f"{record.file_name}: segment {segment['id']}", f"not a pixel in {png.name}")
    for segment_id in sorted(present):
        report.add_skipped(f"{record.file_name}: segment {segment_id}", "not in segments_info")


def _photos(path: Path) -> Path:
    folders = [path.parent / "images"]
    if path.stem.startswith(NAMES):
        name = path.stem.removeprefix(NAMES)
        folders = [path.parent / name, path.parent.parent / name, *folders]
    return next((folder for folder in folders if folder.is_dir()), path.parent)
