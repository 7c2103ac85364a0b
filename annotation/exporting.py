"""Label Studio's tasks as a split: one annotation per region, groups and holes kept, losses reported."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from annotation.decoding import region_labels, region_size
from annotation.existing import META, RegionReader, group_of, rle_digest
from annotation.importing import notes_of
from toolkit.errors import InputError
from toolkit.image import image_size
from toolkit.masks import rle_area, rle_box
from toolkit.report import Report
from toolkit.split import NEW_ID, Annotation, SplitWriter
from toolkit.split.records import annotation_from_json, image_from_json

Photo = Callable[[Mapping[str, Any], str], Path | bytes]
"""A task and the address of its photo → the photo's file or bytes."""

UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")  # what Label Studio puts before the names of uploads


@dataclass
class Exporter:
    """Writes tasks into a split.

    Attributes:
        writer: where to.
        photo: how to get a photo.
        report: what was left out, and why.
        predictions: whether tasks that nobody annotated give their newest prediction.
        image_field: the task field of the photo's address; by default the first that looks like one.
    """

    writer: SplitWriter
    photo: Photo
    report: Report
    predictions: bool = False
    image_field: str | None = None
    counts: dict[str, int] = field(default_factory=lambda: {"tasks": 0, "images": 0, "annotations": 0})
    _regions: RegionReader = field(default_factory=lambda: RegionReader(most=64))
    _names: set[str] = field(default_factory=set)

    def add(self, task: Mapping[str, Any]) -> None:
        """Write one task; what cannot be written is reported."""
        self.counts["tasks"] += 1
        name = f"task {task.get('id')}"
        result = self._result(task, name)
        if result is None:
            return
        try:
            address = self._address(task)
            photo = self.photo(task, address)
            height, width = image_size(photo)
        except InputError as error:
            self.report.add_skipped(name, str(error))
            return
        annotations = self._annotations(result, name, height, width)
        self._write(task, photo, address, annotations, height, width)

    def _result(self, task: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]] | None:
        """The regions to write: of the newest annotation, or of a prediction where that is asked for."""
        done = [one for one in task.get("annotations") or [] if not one.get("was_cancelled")]
        if done:
            # The ground truth goes first, then what was changed last.
            done.sort(
                key=lambda one: (
                    bool(one.get("ground_truth")),
                    str(one.get("updated_at") or ""),
                    one.get("id") or 0,
                )
            )
            for other in done[:-1]:
                self.report.add_skipped(
                    f"{name}, annotation {other.get('id')}", "a newer annotation was taken"
                )
            return _regions_of(done[-1])
        if not self.predictions:
            self.report.add_skipped(name, "nobody has annotated it")
            return None
        predicted = [one for one in task.get("predictions") or [] if isinstance(one, Mapping)]
        if not predicted:
            self.report.add_skipped(name, "it has neither annotations nor predictions")
            return None
        return _regions_of(max(predicted, key=lambda one: one.get("id") or 0))

    def _address(self, task: Mapping[str, Any]) -> str:
        data = task.get("data") or {}
        names = (
            [self.image_field] if self.image_field else [key for key in data if isinstance(data[key], str)]
        )
        preferred = sorted(names, key=lambda key: (key != "image", "image" not in str(key)))
        for name in preferred:
            if isinstance(data.get(name), str) and data[name]:
                return data[name]
        raise InputError("its data has no address of a photo; say which field holds it with --image-field")

    def _annotations(
        self, result: Iterable[Mapping[str, Any]], name: str, height: int, width: int
    ) -> list[Annotation]:
        groups = _Groups(result)
        annotations = []
        taken: set[int] = set()
        for region in result:
            label = f"{name}, region {region.get('id')}"
            try:
                annotation = self._annotation(region, groups, height, width)
            except InputError as error:
                self.report.add_skipped(label, str(error))
                continue
            if annotation is None:
                continue
            if annotation.id in taken:
                annotation = replace(annotation, id=NEW_ID)
            taken.add(annotation.id)
            annotations.append(annotation)
        return annotations

    def _annotation(
        self, region: Mapping[str, Any], groups: _Groups, height: int, width: int
    ) -> Annotation | None:
        rle = self._regions.rle(region)
        if rle is None:
            if region.get("type") in (None, "choices", "relation", "textarea"):
                return None
            raise InputError(f"a {region.get('type')} without an area is no mask")
        if region_size(region) != (height, width):
            raise InputError(
                f"it was drawn on {region_size(region)[::-1]} pixels, the photo has {(width, height)}"
            )
        labels = region_labels(region)
        if not labels:
            raise InputError("it has no label; give it one")
        if len(labels) > 1:
            self.report.add_skipped(f"region {region.get('id')}", f"labels {labels[1:]}; the first was kept")
        return self._restored(region, rle, labels[0], groups)

    def _restored(
        self, region: Mapping[str, Any], rle: Mapping[str, Any], label: str, groups: _Groups
    ) -> Annotation:
        """An annotation with the fields it had in the split it came from, as far as they still hold."""
        notes = region.get("meta", {}).get(META, {}) if isinstance(region.get("meta"), Mapping) else {}
        before = notes.get("annotation") if isinstance(notes, Mapping) else None
        fields = dict(before) if isinstance(before, Mapping) else {}
        fields["segmentation"] = dict(rle)
        fields["category_id"] = self._category(fields.get("category_id"), label)
        fields["group_id"] = groups.number(region)
        if fields["group_id"] is None:
            del fields["group_id"]
        if not isinstance(notes, Mapping) or notes.get("mask") != rle_digest(rle):
            # The mask has been changed, or is new.
            fields["area"], fields["bbox"] = rle_area(rle), list(rle_box(rle))
        if "score" not in fields and isinstance(region.get("score"), (int, float)):
            fields["score"] = region["score"]
        if isinstance(notes, Mapping) and isinstance(notes.get("model"), str):
            fields.setdefault("origin", {"kind": "real"})
            fields["model_version"] = notes["model"]
        return annotation_from_json(fields)

    def _category(self, number: object, label: str) -> int:
        for category in self.writer.categories:
            if category.get("id") == number and str(category.get("name", "")).strip() == label:
                return category["id"]
        for category in self.writer.categories:
            if str(category.get("name", "")).strip() == label:
                return category["id"]
        return self.writer.add_category(label)

    def _write(
        self,
        task: Mapping[str, Any],
        photo: Path | bytes,
        address: str,
        annotations: list[Annotation],
        height: int,
        width: int,
    ) -> None:
        image = notes_of(task).get("image")
        if isinstance(image, Mapping) and {"id", "file_name", "width", "height"} <= image.keys():
            record = image_from_json(dict(image))
            if record.file_name not in self._names and (record.height, record.width) == (height, width):
                self._names.add(record.file_name)
                self.writer.add_record(record, photo, annotations)
                self._count(annotations)
                return
        name = self._free_name(str(notes_of(task).get("file_name") or name_of(address)))
        self.writer.add_image(
            photo, annotations, file_name=name, width=width, height=height, label_studio_task=task.get("id")
        )
        self._count(annotations)

    def _count(self, annotations: Sequence[Annotation]) -> None:
        self.counts["images"] += 1
        self.counts["annotations"] += len(annotations)

    def _free_name(self, name: str) -> str:
        path = PurePosixPath(name)
        number = 1
        while name in self._names:
            number += 1
            name = str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
        self._names.add(name)
        return name


class _Groups:
    """Numbers for the groups of one photo's regions: our own notes first, then the tree of parents."""

    def __init__(self, result: Iterable[Mapping[str, Any]]) -> None:
        regions = list(result)
        self._parents = {
            str(region.get("id")): str(region["parentID"]) for region in regions if region.get("parentID")
        }
        self._heads = set(self._parents.values())
        self._numbers: dict[str, int] = {}
        self._taken = {group for group in map(group_of, regions) if isinstance(group, int)}

    def number(self, region: Mapping[str, Any]) -> int | None:
        """The number of a region's group, None for one that stands alone."""
        group = group_of(region)
        if group is None:
            name = str(region.get("id"))
            if name not in self._parents and name not in self._heads:
                return None
            seen = set()
            while name in self._parents and name not in seen:
                seen.add(name)
                name = self._parents[name]
            group = f"tree {name}"
        elif isinstance(group, int):
            return group
        if group not in self._numbers:
            number = 1
            while number in self._taken:
                number += 1
            self._taken.add(number)
            self._numbers[group] = number
        return self._numbers[group]


def split_header(tasks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What the split that tasks were made from says of itself: info, licenses, categories, card."""
    for task in tasks:
        header = notes_of(task).get("split")
        if isinstance(header, Mapping):
            return {name: header.get(name) for name in ("info", "licenses", "categories", "card")}
    return {}


def name_of(address: str) -> str:
    """A file name for the photo at an address."""
    parts = urlsplit(address)
    wanted = parse_qs(parts.query).get("d") or parse_qs(parts.query).get("filepath")
    path = unquote(wanted[-1]) if wanted else unquote(parts.path)
    name = UPLOAD_PREFIX.sub("", PurePosixPath(path.replace("\\", "/")).name)
    return name if name not in ("", ".", "..") else "photo"


def _regions_of(marked: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    result = marked.get("result")
    return [one for one in result if isinstance(one, Mapping)] if isinstance(result, list) else []


def export_tasks(
    tasks: Sequence[Mapping[str, Any]],
    out: Path,
    photo: Photo,
    *,
    predictions: bool = False,
    image_field: str | None = None,
    overwrite: bool = False,
    card: Mapping[str, Any] | None = None,
) -> Report:
    """Write tasks as a split, and what was left out to its `report.json`.

    Args:
        tasks: as in Label Studio's JSON export.
        out: the split folder.
        photo: how to get a photo.
        predictions: whether tasks that nobody annotated give their newest prediction.
        image_field: the task field of the photo's address.
        overwrite: whether a finished split in the folder may be replaced.
        card: what to say in `card.yaml`.

    Raises:
        InputError: nothing at all could be written, or the folder holds a split.
    """
    report = Report()
    header = split_header(tasks)
    with SplitWriter(
        out,
        categories=header.get("categories") or (),
        info=header.get("info"),
        licenses=header.get("licenses") or (),
        card={**(header.get("card") or {}), **(card or {})},
        overwrite=overwrite,
    ) as writer:
        exporter = Exporter(writer, photo, report, predictions, image_field)
        for task in tasks:
            exporter.add(task)
        report.facts.update(exporter.counts)
        if not exporter.counts["images"]:
            reasons = "; ".join(sorted({reason for _, reason in report.skipped})[:3]) or "there are no tasks"
            raise InputError(f"nothing to export: {reasons}")
    report.write(out)
    return report
