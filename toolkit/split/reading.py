"""Open a split folder, or a COCO or LVIS annotation file as it is published."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from toolkit.errors import InputError
from toolkit.split.columns import (
    AnnotationHeader,
    ImageHeader,
    annotation_columns,
    concatenate,
    image_columns,
)
from toolkit.split.dataset import Split
from toolkit.split.fast_json import JsonFile, JsonValue, LazyRecords, scan_records
from toolkit.split.paths import find_images_dir
from toolkit.split.records import annotation_from_json, image_from_json

ANNOTATIONS_FILE = "annotations.json"


@dataclass(frozen=True)
class _Table:
    """One of the two long lists of the file, and what is made of it."""

    name: str
    header: type[msgspec.Struct]
    columns: Callable[[Any], Any]
    make: Callable[[dict[str, Any]], Any]


IMAGES = _Table("images", ImageHeader, image_columns, image_from_json)
ANNOTATIONS = _Table("annotations", AnnotationHeader, annotation_columns, annotation_from_json)


@dataclass(frozen=True)
class Malformed:
    """A record that could not be read at all: its list, its place in it from 0, and what is wrong."""

    table: str
    index: int
    problem: str


def read_split(
    path: str | os.PathLike[str],
    images_dir: str | os.PathLike[str] | None = None,
    *,
    malformed: list[Malformed] | None = None,
) -> Split:
    """Open a split: a split folder, or a COCO instances or LVIS JSON file.

    Opening reads the whole file once but keeps only numbers; records are decoded when they are asked for. The
    file must stay in place while the split is in use.

    Args:
        path: A folder that holds `annotations.json` (or a single other JSON file), or a JSON file.
        images_dir: The folder of the images; by default `images/` beside the file, or wherever the published
            layouts put it.
        malformed: Where given, records with missing or mistyped fields are added here and left out;
            by default the first of them raises.

    Raises:
        InputError: There is no such file, it is not COCO or LVIS JSON, or a record is malformed.
    """
    json_path = _find_json(Path(path))
    file = JsonFile(json_path)
    members = file.members()
    if "images" not in members:
        raise InputError(f"{json_path}: has no list 'images', so it is not a COCO or LVIS annotation file")
    images, columns_of_images = _read_table(file, members, IMAGES, malformed)
    annotations, columns_of_annotations = _read_table(file, members, ANNOTATIONS, malformed)
    names = [image.file_name for image in images[:3]]
    return Split(
        json_path.parent,
        images,
        annotations,
        categories=_read_categories(file, members.get("categories")),
        images_dir=find_images_dir(json_path, names) if images_dir is None else Path(images_dir),
        info=_decoded(members.get("info"), dict),
        licenses=_decoded(members.get("licenses"), list),
        columns=(columns_of_images, columns_of_annotations),
    )


def _find_json(path: Path) -> Path:
    if not path.is_dir():
        return path
    if (path / ANNOTATIONS_FILE).is_file():
        return path / ANNOTATIONS_FILE
    others = sorted(path.glob("*.json"))
    if len(others) == 1:
        return others[0]
    raise InputError(
        f"{path}: expected a split folder with {ANNOTATIONS_FILE}; found {len(others)} JSON files"
    )


def _read_table(
    file: JsonFile, members: dict[str, JsonValue], table: _Table, malformed: list[Malformed] | None
) -> tuple[LazyRecords, Any]:
    def note(index: int, problem: str) -> None:
        if malformed is None:
            hint = "run `declutter data validate` for a list of all broken records"
            raise InputError(f"{file.path}: {table.name}[{index}]: {problem}; {hint}")
        malformed.append(Malformed(table.name, index, problem))

    starts, ends = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    parts = [table.columns([])]
    value = members.get(table.name)
    if value is not None and value.text != b"null":
        if not value.is_array():
            raise InputError(f"{file.path}: expected {table.name!r} to be a list")
        for scanned in scan_records(value, table.header, note):
            starts.append(scanned.starts)
            ends.append(scanned.ends)
            parts.append(table.columns(scanned.headers))
    records = LazyRecords(file, np.concatenate(starts), np.concatenate(ends), table.make)
    return records, concatenate(parts)


def _read_categories(file: JsonFile, value: JsonValue | None) -> list[dict[str, Any]]:
    categories = _decoded(value, list)
    for index, category in enumerate(categories):
        if not isinstance(category, dict) or not isinstance(category.get("id"), int):
            raise InputError(f"{file.path}: categories[{index}]: expected an object with a whole number `id`")
    return categories


def _decoded(value: JsonValue | None, kind: type) -> Any:
    decoded = None if value is None else value.decode()
    return decoded if isinstance(decoded, kind) else kind()
