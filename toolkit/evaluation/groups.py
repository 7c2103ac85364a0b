"""One click per group: whether all siblings of the clicked object come back, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from toolkit.clicks import Click
from toolkit.errors import InputError, UnsupportedSystem
from toolkit.evaluation.clicking import Aim, random_of
from toolkit.evaluation.coco_ap import (
    MAX_DETECTIONS,
    Detection,
    PrecisionRecall,
    Query,
    Truth,
    detections_that_count,
    measure_precision_recall,
)
from toolkit.evaluation.one_click import found_entry
from toolkit.evaluation.photos import Protocol, measure_photos
from toolkit.evaluation.plots import group_figures
from toolkit.evaluation.tables import group_tables
from toolkit.evaluation.truth import ObjectTruth, PhotoTruth, mask_of
from toolkit.metrics import bootstrap_ratio, match_greedily
from toolkit.report import Report, write_result
from toolkit.split import Split
from toolkit.split.columns import NO_GROUP
from toolkit.systems import GroupScene, Scene, System

Results = Sequence[tuple[PhotoTruth, dict[str, Any]]]
MATCH_IOU = 0.5


@dataclass(frozen=True)
class GroupScore:
    """One group at IoU 0.5: siblings to find, masks that came back and count, how many of those are siblings.

    `photo` is the place of its photo among the results.
    """

    photo: int
    siblings: int
    returned: int
    matched: int


def run_groups(
    split: Split,
    system: System,
    out: Path,
    *,
    limit: int | None = None,
    seed: int = 0,
    jitter: float = 0.0,
    max_detections: int | None = None,
) -> dict[str, Any]:
    """Click one member of every group; write result.json, table.md, plots and report.json into `out`.

    For every `group_id` of a photo one sibling, drawn with `seed`, is clicked, and all masks that come back
    are held against all siblings: the clicked one counts like the others, and groups of one count too
    (there, everything else that comes back is wrong). Figures of groups of two and more stand beside, with
    the ending _multi. Objects without a `group_id` are no group. Runs again where it stopped.

    Args:
        split: photos and annotations with `group_id`.
        system: what is measured; its scenes answer `select_similar`.
        out: folder of the results.
        limit: measure that many photos only, drawn with `seed`.
        seed: of the draws and of the jitter.
        jitter: spread of the click around the object's centre (see `object_click`).
        max_detections: per group that count for AP and AR; None: 100, or 300 in a split of LVIS, whose AP and
            AR are LVISEval's.

    Returns:
        What result.json holds; see `score_groups`.

    Raises:
        InputError: the split has no groups, or the system finds no siblings.
    """
    if not 0 <= jitter < float("inf"):
        raise InputError(f"jitter: expected a number of 0 or more, got {jitter}")
    if not (split.annotation_columns.group_id != NO_GROUP).any():
        raise InputError(
            f"{split.root}: no annotation has a group_id; give siblings of a photo one number each, "
            "or run `declutter eval one-click`"
        )
    report = Report(
        command="eval groups",
        split=str(split.root),
        system=system.name,
        seed=seed,
        jitter=jitter,
        limit=limit,
    )

    def measure(scene: Scene, truth: PhotoTruth) -> dict[str, Any]:
        return click_groups(scene, truth, jitter, seed)

    protocol = Protocol(
        name="groups",
        settings={"jitter": jitter, "seed": seed},
        applies=lambda truth: bool(truth.groups()),
        measure=measure,
        nothing_found=lambda truth: {"groups": [_nothing(group) for group in truth.groups()]},
    )
    try:
        results = measure_photos(protocol, split, system, out, report, limit=limit, seed=seed)
        report.facts["objects_without_group"] = sum(
            found.group is None for truth, _ in results for found in truth.objects_to_find()
        )
    finally:
        report.write(out / "report.json")
    counted, lvis = detections_that_count(split, max_detections)
    result, precision_recall = score_groups(results, counted, seed, lvis)
    result = {"system": system.name, "jitter": jitter, **result}
    figures = group_figures(score_each(results), precision_recall)
    write_result(out, result, group_tables(result), figures)
    return result


def click_groups(scene: Scene, truth: PhotoTruth, jitter: float, seed: int) -> dict[str, Any]:
    """Click one member of each group of an encoded photo; returns the photo's record."""
    if not isinstance(scene, GroupScene):
        raise UnsupportedSystem("this system selects single objects only; use one that has select_similar")
    groups = []
    for group, siblings in truth.groups().items():
        rng = random_of(seed, truth.record.id, group)
        target, click = clicked_sibling(siblings, Aim(jitter), rng)
        found = [found_entry(instance, truth) for instance in scene.select_similar(click)]
        groups.append({"group": group, "target": target.id, "click": [click.x, click.y], "found": found})
    return {"groups": groups}


def clicked_sibling(
    siblings: Sequence[ObjectTruth], aim: Aim, rng: np.random.Generator
) -> tuple[ObjectTruth, Click]:
    """Draw the member of a group that is clicked, no crowd, and its click."""
    clickable = [sibling for sibling in siblings if not sibling.crowd]
    target = clickable[int(rng.integers(len(clickable)))]
    return target, aim.spot(mask_of(target), rng)


def _nothing(group: int) -> dict[str, Any]:
    return {"group": group, "target": None, "click": None, "found": []}


def score_groups(
    results: Results, max_detections: int = MAX_DETECTIONS, seed: int = 0, lvis: bool = False
) -> tuple[dict[str, Any], PrecisionRecall]:
    """Turn the records of all photos into the flat result.

    Returns:
        (result, what COCOeval found). The result has n (groups), ap, ap_small … ar, ar_small …, precision
        and recall: fractions of all returned masks that are siblings, and of all siblings that came back, at
        IoU 0.5 over all groups together. Besides, the 95 % intervals of ap, ar, precision and recall
        (…_ci_low, …_ci_high; bootstrap over photos; of ap and ar None by LVIS's rules), exact (fraction of
        groups that came back whole and alone), n, ap, ar, precision, recall of groups of two and more
        (…_multi), and n, precision and recall of each source (…_source_NAME) with their intervals.
        Fractions of 1; None with nothing to average.
    """
    precision_recall = measure_precision_recall(_queries(results, least=1), max_detections, lvis, seed)
    figures = precision_recall.figures
    multi = measure_precision_recall(_queries(results, least=2), max_detections, lvis).figures
    sure = ("ap_ci_low", "ap_ci_high", "ar_ci_low", "ar_ci_high")
    scores = score_each(results)
    several = [score for score in scores if score.siblings > 1]
    names = ("ap", "ap_small", "ap_medium", "ap_large", "ar", "ar_small", "ar_medium", "ar_large")
    result: dict[str, Any] = {
        "n": len(scores),
        **{name: figures[name] for name in (*names, *sure)},
        **_precision_and_recall(scores),
        "ap50": figures["ap50"],
        "ap75": figures["ap75"],
        "max_detections": max_detections,
        "ap_rules": "lvis" if lvis else "coco",
        "images": len(results),
        "siblings": sum(score.siblings for score in scores),
        "returned": sum(score.returned for score in scores),
        **_intervals(scores, len(results), seed),
        "exact": _share(sum(s.matched == s.siblings == s.returned for s in scores), len(scores)),
        "n_multi": len(several),
        "ap_multi": multi["ap"],
        "ar_multi": multi["ar"],
        **{f"{name}_multi": value for name, value in _precision_and_recall(several).items()},
    }
    sources = [truth.record.source or "unknown" for truth, _ in results]
    for source in sorted({sources[score.photo] for score in scores}):
        own = [score for score in scores if sources[score.photo] == source]
        part = {"n": len(own), **_precision_and_recall(own), **_intervals(own, len(results), seed)}
        result |= {_of_source(name, source): value for name, value in part.items()}
    return result, precision_recall


def _of_source(name: str, source: str) -> str:
    """The key of a figure of one source: precision_ci_low of cats is precision_source_cats_ci_low."""
    ending = next((end for end in ("_ci_low", "_ci_high") if name.endswith(end)), "")
    return f"{name.removesuffix(ending)}_source_{source}{ending}"


def score_each(results: Results) -> list[GroupScore]:
    """Match what came back for every group with its siblings, at IoU 0.5; masks on crowds do not count."""
    scores = []
    for photo, (truth, record) in enumerate(results):
        for siblings, found in _answers(truth, record):
            wanted = [sibling.rle for sibling in siblings if not sibling.crowd]
            masks = [entry["rle"] for entry in found]
            matches = match_greedily(masks, [entry["score"] for entry in found], wanted, MATCH_IOU)
            crowds = [sibling.rle for sibling in siblings if sibling.crowd]
            unmatched = [rle for rle, match in zip(masks, matches, strict=True) if match is None]
            matched = len(masks) - len(unmatched)
            wrong = sum(not _lies_in(rle, crowds) for rle in unmatched)
            scores.append(GroupScore(photo, len(wanted), matched + wrong, matched))
    return scores


def _lies_in(rle: dict[str, Any], crowds: Sequence[Any]) -> bool:
    """Whether at least half of a mask lies in one of the crowds, which is COCO's overlap with a crowd."""
    return bool(crowds) and float(coco_mask.iou([rle], list(crowds), [1] * len(crowds)).max()) >= MATCH_IOU


def _answers(
    truth: PhotoTruth, record: dict[str, Any]
) -> Iterator[tuple[list[ObjectTruth], list[dict[str, Any]]]]:
    groups = truth.groups()
    for entry in record["groups"]:
        yield groups[entry["group"]], entry["found"]


def _queries(results: Results, least: int) -> Iterator[Query]:
    for photo, (truth, record) in enumerate(results):
        for siblings, found in _answers(truth, record):
            if sum(not sibling.crowd for sibling in siblings) >= least:
                yield Query(
                    [Truth(sibling.rle, sibling.area, sibling.crowd) for sibling in siblings],
                    [Detection(entry["rle"], entry["score"]) for entry in found],
                    photo,
                )


def _precision_and_recall(scores: Sequence[GroupScore]) -> dict[str, float | None]:
    matched = sum(score.matched for score in scores)
    return {
        "precision": _share(matched, sum(score.returned for score in scores)),
        "recall": _share(matched, sum(score.siblings for score in scores)),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _intervals(scores: Sequence[GroupScore], photos: int, seed: int) -> dict[str, float | None]:
    matched, returned, siblings = [0] * photos, [0] * photos, [0] * photos
    for score in scores:
        matched[score.photo] += score.matched
        returned[score.photo] += score.returned
        siblings[score.photo] += score.siblings
    result: dict[str, float | None] = {}
    for name, counted in (("precision", returned), ("recall", siblings)):
        low, high = bootstrap_ratio(matched, counted, seed=seed) or (None, None)
        result |= {f"{name}_ci_low": low, f"{name}_ci_high": high}
    return result
