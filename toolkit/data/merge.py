"""Join several splits into one: ids anew, categories by name, every image under a name of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from toolkit.data.copying import copy_images
from toolkit.errors import InputError
from toolkit.report import Report
from toolkit.split import NEW_ID, Annotation, ImageRecord, Split, SplitWriter
from toolkit.split.paths import unique_name

# LVIS's fields of images that hold category ids.
CATEGORY_LISTS = ("neg_category_ids", "not_exhaustive_category_ids")
# LVIS's counts per category: they add up, except for the frequency that follows from them.
CATEGORY_COUNTS = ("instance_count", "image_count")


def merge(splits: Sequence[Split], out: Path, report: Report, *, link: bool = False) -> None:
    """Write one split with all images and annotations of several.

    Images and annotations are numbered from 1 in the order given. Categories of the same name become one; its
    other fields are those of the first split that has it. An image whose name is taken gets a number before
    the suffix.

    Args:
        splits: What to join, at least one.
        out: The split folder to write.
        report: Where renamed images and those without a file are listed.
        link: Whether to link images instead of copying them.

    Raises:
        InputError: The folder holds a finished split, or an annotation names an unknown category.
    """
    categories, category_maps = unify_categories([split.categories for split in splits])
    licenses, license_maps = unify_licenses([split.licenses for split in splits])
    sources = [split.root.resolve().name for split in splits]
    card = {"made_by": "declutter data merge", "made_from": sources}
    info = {"description": "merged from " + ", ".join(sources)}
    taken: set[str] = set()
    with SplitWriter(
        out, categories=categories, info=info, licenses=licenses, card=card, link=link
    ) as writer:
        for split, category_map, license_map in zip(splits, category_maps, license_maps, strict=True):

            def change(
                record: ImageRecord,
                annotations: list[Annotation],
                split: Split = split,
                category_map: dict[int, int] = category_map,
                license_map: dict[Any, Any] = license_map,
            ) -> tuple[ImageRecord, list[Annotation]]:
                name = unique_name(record.file_name, taken)
                if name != record.file_name:
                    report.add_skipped(
                        f"{split.root.name}: {record.file_name}", f"the name is taken: renamed to {name}"
                    )
                extra = dict(record.extra)
                for key in CATEGORY_LISTS:
                    if isinstance(extra.get(key), list):
                        extra[key] = [category_map[value] for value in extra[key] if value in category_map]
                licence = license_map.get(record.license, record.license)
                renamed = replace(record, id=NEW_ID, file_name=name, license=licence, extra=extra)
                return renamed, [_renumbered(annotation, category_map, split) for annotation in annotations]

            copy_images(split, writer, report, f"merging {split.root.name}", change)


def _renumbered(annotation: Annotation, category_map: Mapping[int, int], split: Split) -> Annotation:
    category_id = category_map.get(annotation.category_id)
    if category_id is None:
        raise InputError(
            f"{split.root}: annotation {annotation.id} has the unknown category {annotation.category_id}; "
            "run `declutter data validate`"
        )
    return replace(annotation, id=NEW_ID, category_id=category_id)


def unify_categories(
    tables: Sequence[Sequence[Mapping[str, Any]]],
) -> tuple[list[dict[str, Any]], list[dict[int, int]]]:
    """Give categories of the same name one id, numbered from 1 in order of appearance.

    Returns:
        The categories, and for each table the map from its ids to the new ones.
    """
    unified: dict[str, dict[str, Any]] = {}
    maps: list[dict[int, int]] = []
    for table in tables:
        new_ids = {}
        for category in table:
            name = str(category.get("name", category["id"]))
            known = unified.get(name)
            if known is None:
                known = unified[name] = {**category, "id": len(unified) + 1, "name": name}
            else:
                for count in CATEGORY_COUNTS:
                    if count in known and count in category:
                        known[count] += category[count]
            new_ids[category["id"]] = known["id"]
        maps.append(new_ids)
    return list(unified.values()), maps


def unify_licenses(
    tables: Sequence[Sequence[Mapping[str, Any]]],
) -> tuple[list[dict[str, Any]], list[dict[Any, Any]]]:
    """Give equal licences one id, numbered from 1 in order of appearance.

    Returns:
        The licences, and for each table the map from its ids to the new ones.
    """
    unified: list[dict[str, Any]] = []
    maps: list[dict[Any, Any]] = []
    for table in tables:
        new_ids = {}
        for licence in table:
            content = {key: value for key, value in licence.items() if key != "id"}
            known = next((one for one in unified if {**one, "id": 0} == {**content, "id": 0}), None)
            if known is None:
                known = {**content, "id": len(unified) + 1}
                unified.append(known)
            new_ids[licence.get("id")] = known["id"]
        maps.append(new_ids)
    return unified, maps
