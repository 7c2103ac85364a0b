"""Hugging Face `imagefolder`: photos with a `metadata.parquet` beside them, which `datasets` loads as it is.

The columns `file_name` and `objects` (lists `bbox`, `categories`, …) are those of the `datasets` guide to
object detection. Masks are JSON text in `objects.segmentation`; fields that have no column are JSON text in
`extra`; and `info`, `licenses` and `categories` travel in the metadata of the parquet file. So nothing is
lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from toolkit.data.copying import records_with_files, start_folder
from toolkit.data.progress import track
from toolkit.errors import InputError
from toolkit.files import atomic_path
from toolkit.image import image_size
from toolkit.report import Report
from toolkit.split import Annotation, ImageRecord, Split
from toolkit.split.placing import place_image

MARKER = "metadata.parquet"
FOREIGN_MARKERS = ("metadata.jsonl", "metadata.csv")
SCHEMA_KEY = b"declutter"
ROWS_PER_GROUP = 1000
CATEGORY_KEYS = ("categories", "category", "labels", "label", "category_id")


def write_imagefolder(split: Split, out: Path, report: Report, *, link: bool = False) -> None:
    """Write `images/` and `metadata.parquet`; nothing is lost.

    Args:
        split: What to write.
        out: The folder; made where missing.
        report: Where images without a file are listed.
        link: Whether to link images instead of copying them.

    Raises:
        InputError: The folder holds a finished data set.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    start_folder(out, MARKER)
    tables = {"info": split.info, "licenses": split.licenses, "categories": split.categories}
    schema = _schema(pa).with_metadata({SCHEMA_KEY: json.dumps(tables).encode()})
    names = split.category_names
    rows: list[dict[str, Any]] = []
    with atomic_path(out / MARKER) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for record, path in records_with_files(split, report, "writing imagefolder"):
            place_image(path, out / "images" / record.file_name, link=link)
            regions = split.regions_path(record)
            if regions is not None and regions.is_file():
                place_image(regions, out / "images" / str(record.regions), link=link)
            rows.append(_row(record, split.annotations_of(record.id), names))
            if len(rows) == ROWS_PER_GROUP:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows.clear()
        writer.write_table(pa.Table.from_pylist(rows, schema))


def _schema(pa: Any) -> Any:
    """Return the parquet schema; `objects` is a struct of lists, one entry per annotation."""
    lists = {
        "id": pa.int64(),
        "bbox": pa.list_(pa.float64()),
        "area": pa.float64(),
        "categories": pa.int64(),
        "category_names": pa.string(),
        "iscrowd": pa.int64(),
        "group_id": pa.int64(),
        "segmentation": pa.string(),
        "origin": pa.string(),
        "extra": pa.string(),
    }
    columns = {
        "file_name": pa.string(),
        "image_id": pa.int64(),
        "width": pa.int64(),
        "height": pa.int64(),
        "license": pa.string(),
        "source": pa.string(),
        "regions": pa.string(),
        "extra": pa.string(),
        "objects": pa.struct({name: pa.list_(kind) for name, kind in lists.items()}),
    }
    return pa.schema(list(columns.items()))


def _row(record: ImageRecord, annotations: list[Annotation], names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "file_name": f"images/{record.file_name}",
        "image_id": record.id,
        "width": record.width,
        "height": record.height,
        "license": _to_text(record.license),
        "source": record.source,
        "regions": record.regions,
        "extra": _to_text(record.extra),
        "objects": {
            "id": [a.id for a in annotations],
            "bbox": [None if a.bbox is None else list(a.bbox) for a in annotations],
            "area": [a.area for a in annotations],
            "categories": [a.category_id for a in annotations],
            "category_names": [names.get(a.category_id) for a in annotations],
            "iscrowd": [a.iscrowd for a in annotations],
            "group_id": [a.group_id for a in annotations],
            "segmentation": [_to_text(a.segmentation) for a in annotations],
            "origin": [_to_text(a.origin) for a in annotations],
            "extra": [_to_text(a.extra) for a in annotations],
        },
    }


def read_imagefolder(path: Path, report: Report) -> Split:
    """Read an `imagefolder` data set: photos with a metadata file, in one folder or one per subset.

    Ours comes back complete. Of others, `objects.bbox` (x, y, width, height) become rectangles, and boxes
    that cannot be read are listed.

    Args:
        path: The folder.
        report: Where rows that cannot be read are listed.

    Raises:
        InputError: There is no metadata file, or it cannot be read.
    """
    files = metadata_files(path)
    if not files:
        raise InputError(
            f"{path}: no {MARKER} or {' or '.join(FOREIGN_MARKERS)}; expected an imagefolder data set"
        )
    if len(files) == 1 and (tables := _our_tables(files[0])) is not None:
        return _read_ours(files[0], tables)
    return _read_foreign(path, files, report)


def metadata_files(path: Path) -> list[Path]:
    """Return the metadata files of an `imagefolder`: at its top, or else one per subset folder."""
    for pattern in ("", "*/"):
        for name in (MARKER, *FOREIGN_MARKERS):
            if files := sorted(path.glob(pattern + name)):
                return files
    return []


def _our_tables(file: Path) -> dict[str, Any] | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file.name != MARKER:
        return None
    try:
        metadata = pq.read_schema(file).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{file}: not a parquet file ({error})") from error
    return json.loads(metadata[SCHEMA_KEY]) if SCHEMA_KEY in metadata else None


def _read_ours(file: Path, tables: dict[str, Any]) -> Split:
    import pyarrow.parquet as pq

    images, annotations = [], []
    parquet = pq.ParquetFile(file)
    for group in track(range(parquet.num_row_groups), "reading imagefolder"):
        for row in parquet.read_row_group(group).to_pylist():
            record = ImageRecord(
                row["image_id"],
                row["file_name"].removeprefix("images/"),
                row["width"],
                row["height"],
                license=_from_text(row["license"]),
                source=row["source"],
                regions=row["regions"],
                extra=json.loads(row["extra"]),
            )
            images.append(record)
            annotations += [_our_annotation(record.id, entry) for entry in _entries(row["objects"])]
    return Split(file.parent, images, annotations, images_dir=file.parent / "images", **tables)


def _our_annotation(image_id: int, entry: dict[str, Any]) -> Annotation:
    box = entry["bbox"]
    return Annotation(
        entry["id"],
        image_id,
        entry["categories"],
        segmentation=_from_text(entry["segmentation"]),
        bbox=None if box is None else (box[0], box[1], box[2], box[3]),
        area=entry["area"],
        iscrowd=entry["iscrowd"],
        group_id=entry["group_id"],
        origin=_from_text(entry["origin"]),
        extra=json.loads(entry["extra"]),
    )


def _from_text(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _rows(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a metadata file of any of the three kinds."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if file.suffix == ".parquet":
            return pq.read_table(file).to_pylist()
        if file.suffix == ".jsonl":
            lines = file.read_text(encoding="utf-8").splitlines()
            return [json.loads(line) for line in lines if line.strip()]
        return pd.read_csv(file).to_dict("records")
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read ({error})") from error


def _to_text(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _entries(objects: Any) -> Iterator[dict[str, Any]]:
    """Give the objects of a row one by one, from a table of lists or a list of tables."""
    if isinstance(objects, list):
        yield from (entry for entry in objects if isinstance(entry, dict))
    elif isinstance(objects, dict):
        lists = {name: values for name, values in objects.items() if isinstance(values, list)}
        for index in range(max(map(len, lists.values()), default=0)):
            yield {name: values[index] for name, values in lists.items() if index < len(values)}


def _read_foreign(root: Path, files: list[Path], report: Report) -> Split:
    images: list[ImageRecord] = []
    annotations: list[Annotation] = []
    ids: dict[Any, int] = {}
    for file in files:
        for index, row in enumerate(track(_rows(file), "reading imagefolder")):
            if not isinstance(row, dict) or not isinstance(row.get("file_name"), str):
                report.add_skipped(f"{file.name} row {index}", "no file_name")
                continue
            name = (file.parent / row["file_name"]).relative_to(root).as_posix()
            try:
                height, width = image_size(root / name)
            except InputError as error:
                report.add_skipped(name, str(error))
                continue
            images.append(ImageRecord(len(images) + 1, name, width, height))
            for entry in _entries(row.get("objects")):
                label = next((entry[key] for key in CATEGORY_KEYS if key in entry), "object")
                category_id = ids.setdefault(label, len(ids) + 1)
                rectangle = _rectangle(entry.get("bbox"))
                if rectangle is None:
                    report.add_skipped(
                        f"{name}: an object", f"no bbox of x, y, width, height: {entry.get('bbox')}"
                    )
                    continue
                annotations.append(
                    Annotation(len(annotations) + 1, len(images), category_id, segmentation=[rectangle])
                )
    if annotations:
        report.add_skipped(
            f"masks of {len(annotations)} objects", "the data set has boxes only: read as rectangles"
        )
    categories = [{"id": category_id, "name": str(label)} for label, category_id in ids.items()]
    return Split(root, images, annotations, categories=categories, images_dir=root)


def _rectangle(box: Any) -> list[float] | None:
    if not isinstance(box, list | tuple) or len(box) != 4 or not all(isinstance(v, int | float) for v in box):
        return None
    x, y, width, height = box
    return [x, y, x + width, y, x + width, y + height, x, y + height]
