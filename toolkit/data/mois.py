"""COCO MOIS: from any split, the groups of like objects in a photo, each with one exemplar and its clicks.

Source: iCMFormer++ (Li et al., 2024, "Learning from Exemplars for Interactive Image Segmentation"), section
4.1.2, which tells its algorithm 1 in words.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from toolkit.data.copying import records_with_files
from toolkit.data.mois_clicks import ClickRules, sample_exemplar_clicks
from toolkit.errors import InputError
from toolkit.exemplars import FIELD, exemplar_to_json, part_negatives
from toolkit.report import Report
from toolkit.split import Annotation, ImageRecord, Split, SplitWriter

FEWEST = 2
"""Objects of a group: an exemplar and at least one to recall."""


def build_mois(
    split: Split,
    out: Path,
    seed: int,
    report: Report,
    *,
    rules: ClickRules | None = None,
    link: bool = False,
) -> dict[str, int]:
    """Write the multiple-object split of a split.

    For every photo and category with at least two objects: these become a group, one of them drawn at random
    its exemplar, which gets simulated clicks in its field `exemplar` (see `toolkit.exemplars`). Photos,
    annotations and categories keep their ids and fields, but for `group_id`, numbered from 1 in each photo in
    the order of category ids. Crowds, objects alone in their category, and photos without a group stay out.

    The choice of an exemplar depends on the seed, the photo's name and the category only.

    Args:
        split: What to build from.
        out: The split folder to write.
        seed: Of exemplars and clicks.
        report: What is left out: broken masks one by one, all else in numbers; and the counts.
        rules: Of the clicks.
        link: Whether to link images instead of copying them.

    Returns:
        Counts: images, groups (samples, in the paper's words), objects, clicks, pseudo_negative_clicks.

    Raises:
        InputError: The folder holds a finished split, or there is not a single group.
    """
    rules = rules or ClickRules()
    card = {
        **split.card,
        "made_by": "declutter data mois",
        "made_from": split.root.resolve().name,
        "seed": seed,
        "clicks": asdict(rules),
    }
    counts = Counter({"images": 0, "groups": 0, "objects": 0, "clicks": 0, "pseudo_negative_clicks": 0})
    left_out: Counter[str] = Counter()
    with SplitWriter(
        out, categories=split.categories, info=split.info, licenses=split.licenses, card=card, link=link
    ) as writer:
        for record, path in records_with_files(split, report, "building groups"):
            objects, masks = _sound_objects(split, record, report, left_out)
            grouped = group_photo(record, objects, masks, seed, rules, counts)
            left_out["annotations alone in their category"] += len(objects) - len(grouped)
            if not grouped:
                left_out["images without two objects of a category"] += 1
                continue
            counts["images"] += 1
            regions = split.regions_path(record)
            if regions is not None and not regions.is_file():
                report.add_skipped(f"{record.file_name}: regions", f"no such file: {regions}")
                regions = None
            writer.add_record(record, path, grouped, regions=regions)
        if not counts["groups"]:
            raise InputError(
                f"{split.root}: no photo has two objects of one category; a multiple-object split needs some"
            )
    for what, count in sorted(left_out.items()):
        if count:
            report.add_skipped(what, f"left out: {count}")
    report.facts.update(counts)
    return dict(counts)


def _sound_objects(
    split: Split, record: ImageRecord, report: Report, left_out: Counter[str]
) -> tuple[list[Annotation], list[np.ndarray]]:
    """Return the annotations of a photo that can be clicked, and their masks, bool [H, W] each."""
    objects, masks = [], []
    for annotation in split.annotations_of(record.id):
        if annotation.iscrowd:
            left_out["crowds"] += 1
            continue
        item = f"{record.file_name}: annotation {annotation.id}"
        if annotation.category_id not in split.category_names:
            report.add_skipped(item, f"its category {annotation.category_id} is unknown")
            continue
        try:
            mask = annotation.mask(record.height, record.width)
        except InputError as error:
            report.add_skipped(item, str(error))
            continue
        if not mask.any():
            report.add_skipped(item, "its mask is empty")
            continue
        objects.append(annotation)
        masks.append(mask)
    return objects, masks


def group_photo(
    record: ImageRecord,
    objects: Sequence[Annotation],
    masks: Sequence[np.ndarray],
    seed: int,
    rules: ClickRules,
    counts: Counter[str],
) -> list[Annotation]:
    """Group one photo's objects by category and choose the exemplars (algorithm 1, one image).

    Args:
        record: The photo.
        objects: Its annotations, no crowds.
        masks: Of the objects, bool [H, W] each.
        seed: Of the choice.
        rules: Of the clicks.
        counts: Groups, objects and clicks are added here.

    Returns:
        The objects that have a sibling, in the order given, with `group_id`; one per group has `exemplar`.
    """
    members: dict[int, list[int]] = {}
    for index, annotation in enumerate(objects):
        members.setdefault(annotation.category_id, []).append(index)
    changed: dict[int, Annotation] = {}
    categories = sorted(category for category, own in members.items() if len(own) >= FEWEST)
    for group, category in enumerate(categories, start=1):
        own = members[category]
        rng = random_of(seed, record.file_name, category)
        exemplar = own[int(rng.integers(len(own)))]
        others = [mask for index, mask in enumerate(masks) if index != exemplar]
        clicks = sample_exemplar_clicks(masks[exemplar], others, rules, rng)
        kept, pseudo = part_negatives(clicks, [masks[index] for index in own if index != exemplar])
        for index in own:
            extra = {key: value for key, value in objects[index].extra.items() if key != FIELD}
            if index == exemplar:
                extra[FIELD] = exemplar_to_json(kept, pseudo)
            changed[index] = replace(objects[index], group_id=group, extra=extra)
        counts.update(groups=1, objects=len(own), clicks=len(clicks), pseudo_negative_clicks=len(pseudo))
    return [changed[index] for index in sorted(changed)]


def random_of(seed: int, file_name: str, category: int) -> np.random.Generator:
    """Return the chance of one group: the same wherever it stands in the file."""
    digest = hashlib.sha256(f"{seed}/{file_name}/{category}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))
