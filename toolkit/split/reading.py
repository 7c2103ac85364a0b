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
from toolkit.split.fast_json import JsonFile, JsonWalk, LazyRecords
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


TABLES = {
    "images": _Table("images", ImageHeader, image_columns, image_from_json),
    "annotations": _Table("annotations", AnnotationHeader, annotation_columns, annotation_from_json),
}
_NOWHERE: np.ndarray = np.empty(0, np.int64)


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
    walk = JsonWalk(file)
    members: dict[str, Any] = {}
    for name in walk.names():
        table = TABLES.get(name)
        members[name] = (
            _read_table(file, walk, table, malformed) if table and walk.at_array() else walk.value()
        )
    if "images" not in members:
        raise InputError(f"{json_path}: has no list 'images', so it is not a COCO or LVIS annotation file")
    for name, table in TABLES.items():
        if members.get(name) is None:
            members[name] = LazyRecords(file, _NOWHERE, _NOWHERE, table.make), table.columns([])
        elif not isinstance(members[name], tuple):
            raise InputError(f"{json_path}: expected {name!r} to be a list")
    (images, columns_of_images), (annotations, columns_of_annotations) = (members[name] for name in TABLES)
    names = [image.file_name for image in images[:3]]
    return Split(
        json_path.parent,
        images,
        annotations,
        categories=_checked_categories(json_path, members.get("categories")),
        images_dir=find_images_dir(json_path, names) if images_dir is None else Path(images_dir),
        info=members["info"] if isinstance(members.get("info"), dict) else {},
        licenses=members["licenses"] if isinstance(members.get("licenses"), list) else [],
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
    file: JsonFile, walk: JsonWalk, table: _Table, malformed: list[Malformed] | None
) -> tuple[LazyRecords, Any]:
    def note(index: int, problem: str) -> None:
        if malformed is None:
            hint = "run `declutter data validate` for a list of all broken records"
            raise InputError(f"{file.path}: {table.name}[{index}]: {problem}; {hint}")
        malformed.append(Malformed(table.name, index, problem))

    starts, ends, parts = [_NOWHERE], [_NOWHERE], [table.columns([])]
    for chunk in walk.records(table.header, note):
        starts.append(chunk.starts)
        ends.append(chunk.ends)
        parts.append(table.columns(chunk.headers))
    records = LazyRecords(file, np.concatenate(starts), np.concatenate(ends), table.make)
    return records, concatenate(parts)


def _checked_categories(path: Path, categories: Any) -> list[dict[str, Any]]:
    if categories is None:
        return []
    if not isinstance(categories, list):
        raise InputError(f"{path}: expected 'categories' to be a list")
    for index, category in enumerate(categories):
        if not isinstance(category, dict) or not isinstance(category.get("id"), int):
            raise InputError(f"{path}: categories[{index}]: expected an object with a whole number `id`")
    return categories
