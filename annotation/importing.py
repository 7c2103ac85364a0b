"""Photos and splits as Label Studio tasks; what a split says and Label Studio does not know travels along."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from annotation.existing import META, rle_digest
from annotation.label_config import LabelConfig, controls_with, default_label_config
from annotation.regions import Canvas, Drawing, draw
from toolkit.errors import InputError
from toolkit.image import image_size
from toolkit.masks import mask_to_rle
from toolkit.report import Report
from toolkit.split import Annotation, ImageRecord, Split
from toolkit.split.records import annotation_to_json, image_to_json

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
UNSHOWN_SUFFIXES = (".tif", ".tiff", ".heic", ".avif")
MOST_LABELS = 60

Address = Callable[[str], str]
"""The path of a photo below its folder → the address under which Label Studio shows it."""


def local_address(link: str) -> Address:
    """Addresses of photos in a folder that Label Studio's document root knows as `link`."""
    return lambda path: "/data/local-files/?d=" + quote(f"{link}/{path}")


def find_photos(folder: Path, report: Report) -> list[str]:
    """The photos below a folder, by path relative to it, in order; what no page can show is reported.

    Raises:
        InputError: there is no such folder, or no photo in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder of photos")
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if any(part.startswith(".") for part in Path(name).parts) or not path.is_file():
            continue
        if path.suffix.lower() in PHOTO_SUFFIXES:
            found.append(name)
        elif path.suffix.lower() in UNSHOWN_SUFFIXES:
            report.add_skipped(name, "browsers do not show this format; convert it to JPEG or PNG")
    if not found:
        raise InputError(f"{folder}: no photos there (looked for {', '.join(PHOTO_SUFFIXES)})")
    return found


def photo_tasks(folder: Path, address: Address, report: Report) -> list[dict[str, Any]]:
    """A task for each photo of a folder; unreadable photos are reported and left out."""
    tasks = []
    for name in find_photos(folder, report):
        try:
            image_size(folder / name)
        except InputError as error:
            report.add_skipped(name, str(error))
            continue
        tasks.append({"data": {"image": address(name)}, "meta": {META: {"file_name": name}}})
    return tasks


def split_labels(split: Split) -> tuple[str, ...]:
    """The labels that a project for a split needs: the categories in use, or all where they are few."""
    names = split.category_names
    if len(names) > MOST_LABELS:
        used = {int(number) for number in split.annotation_columns.category_id}
        names = {number: name for number, name in names.items() if number in used}
    labels = tuple(dict.fromkeys(name.strip() for name in names.values() if name.strip()))
    return labels or ("Distractor",)


def split_label_config(split: Split) -> str:
    """Our labelling configuration, with the categories of a split as labels."""
    return default_label_config(split_labels(split))


def split_tasks(
    split: Split,
    config: LabelConfig,
    address: Address,
    report: Report,
    *,
    as_annotations: bool = False,
    version: str = "",
) -> Iterator[dict[str, Any]]:
    """A task for each photo of a split, with its annotations as one prediction (or one annotation).

    Args:
        split: what to import.
        config: the project's labelling configuration.
        address: where Label Studio finds a photo.
        report: gets the annotations that have no mask, and those that cannot be read.
        as_annotations: finished work rather than suggestions.
        version: name of the predictions; by default that of the split's folder.
    """
    version = version or split.root.name
    first = True
    for record in split:
        regions = list(record_regions(split, record, config, report))
        notes: dict[str, Any] = {"file_name": record.file_name, "image": image_to_json(record)}
        if first:
            notes["split"] = {
                "info": split.info,
                "licenses": split.licenses,
                "categories": split.categories,
                "card": {key: value for key, value in split.card.items() if key != "counts"},
            }
            first = False
        task: dict[str, Any] = {"data": {"image": address(record.file_name)}, "meta": {META: notes}}
        if regions and as_annotations:
            task["annotations"] = [{"result": regions}]
        elif regions:
            task["predictions"] = [{"result": regions, "model_version": version, "score": 1.0}]
        yield task


def record_regions(
    split: Split, record: ImageRecord, config: LabelConfig, report: Report
) -> Iterator[dict[str, Any]]:
    """The annotations of one photo as regions; the first of each group is the parent of the others."""
    image = next(iter(config.images))
    canvas = Canvas(record.width, record.height, image)
    annotations = split.annotations_of(record.id)
    parents: dict[int, str] = {}
    for annotation in annotations:
        name = f"{record.file_name}: annotation {annotation.id}"
        try:
            mask = annotation.mask(record.height, record.width)
            label = split.category_names.get(annotation.category_id, "").strip()
            controls = controls_with(config, image, label)
            if not controls:
                raise InputError(f'the configuration has no mask label "{label}"')
        except InputError as error:
            report.add_skipped(name, str(error))
            continue
        if not mask.any():
            report.add_skipped(name, "it has no pixels, and Label Studio cannot show that")
            continue
        drawing = _drawing(annotation, label, parents, rle_digest(mask_to_rle(mask)))
        yield from draw([mask], [drawing], controls, canvas, already=len(annotations) - 1)


def _drawing(annotation: Annotation, label: str, parents: dict[int, str], digest: str) -> Drawing:
    """What the region of an annotation shows, with the annotation's own fields in its notes."""
    group = annotation.group_id
    fields = annotation_to_json(replace(annotation, segmentation=None))
    notes: dict[str, Any] = {
        "mask": digest,
        "annotation": {
            key: value for key, value in fields.items() if key not in ("segmentation", "image_id")
        },
    }
    text = []
    parent = None
    name = f"annotation-{annotation.id}"
    if group is not None:
        notes["group"] = group
        text = [f"group {group}"]
        parent = parents.get(group)
        parents.setdefault(group, name)
    score = annotation.extra.get("score")
    return Drawing(
        label,
        score=score if isinstance(score, (int, float)) else None,
        id=name,
        parent=parent,
        meta={"text": text, META: notes} if text else {META: notes},
        origin="prediction",
    )


def notes_of(task: Mapping[str, Any]) -> Mapping[str, Any]:
    """Our notes on a task; empty for tasks that somebody else made."""
    meta = task.get("meta")
    notes = meta.get(META) if isinstance(meta, Mapping) else None
    return notes if isinstance(notes, Mapping) else {}
