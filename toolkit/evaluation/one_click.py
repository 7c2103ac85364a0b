"""One click per object: how well the mask that comes back covers the object."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.evaluation.clicking import Aim, object_click, random_of
from toolkit.evaluation.coco_ap import (
    MAX_DETECTIONS,
    Detection,
    PrecisionRecall,
    Query,
    Truth,
    detections_that_count,
    measure_precision_recall,
)
from toolkit.evaluation.photos import Protocol, measure_with_report
from toolkit.evaluation.plots import one_click_figures
from toolkit.evaluation.tables import one_click_tables
from toolkit.evaluation.truth import PhotoTruth, mask_of
from toolkit.masks import mask_to_rle, rle_iou
from toolkit.metrics import SIZES, bootstrap_ratio, mean, mean_by_size, size_of
from toolkit.report import write_result
from toolkit.selection import Instance
from toolkit.split import Split
from toolkit.systems import Scene, System

Results = Sequence[tuple[PhotoTruth, dict[str, Any]]]


def run_one_click(
    split: Split,
    system: System,
    out: Path,
    *,
    limit: int | None = None,
    seed: int = 0,
    jitter: float = 0.0,
    max_detections: int | None = None,
) -> dict[str, Any]:
    """Click once on every object of a split; write result.json, table.md, iou.png and report.json into `out`.

    Every object but crowds gets one click (see `object_click`), all clicks of a photo in one call. An object
    for which nothing comes back has IoU 0. For AP each returned mask is a detection with its score. Runs
    again where it stopped.

    Args:
        split: photos and annotations.
        system: what is measured.
        out: folder of the results.
        limit: measure that many photos only, drawn with `seed`.
        seed: of the draw and of the jitter.
        jitter: spread of the clicks around the objects' centres; 0 clicks the centres.
        max_detections: per photo that count for AP and AR; None: 100, or 300 in a split of LVIS, whose AP and
            AR are LVISEval's.

    Returns:
        What result.json holds; see `score_one_click`.

    Raises:
        InputError: nothing in the split can be measured.
    """
    results = run_one_click_records(split, system, out, limit=limit, seed=seed, jitter=jitter)
    counted, lvis = detections_that_count(split, max_detections)
    result, precision_recall = score_one_click(results, counted, seed, lvis)
    result = {"system": system.name, "jitter": jitter, **result}
    write_result(out, result, one_click_tables(result), one_click_figures(results, precision_recall))
    return result


def run_one_click_records(
    split: Split, system: System, out: Path, *, limit: int | None, seed: int, jitter: float
) -> list[tuple[PhotoTruth, dict[str, Any]]]:
    """Do the clicking of `run_one_click`; write records and report.json into `out`."""
    aim = Aim(jitter)  # refuses what is no jitter
    protocol = Protocol(
        name="one-click",
        settings={"jitter": aim.jitter, "seed": seed if jitter else None},
        applies=lambda truth: bool(truth.objects_to_find()),
        measure=lambda scene, truth: click_each(scene, truth, jitter, seed),
        nothing_found=lambda truth: {"objects": [_nothing(found.id) for found in truth.objects_to_find()]},
    )
    return measure_with_report(protocol, split, system, out, limit=limit, seed=seed, jitter=jitter)


def click_each(scene: Scene, truth: PhotoTruth, jitter: float, seed: int) -> dict[str, Any]:
    """Click once on each object of an encoded photo; returns the photo's record."""
    wanted = truth.objects_to_find()
    clicks = [
        object_click(mask_of(found), jitter, random_of(seed, truth.record.id, found.id)) for found in wanted
    ]
    instances = scene.segment_each(clicks)
    if len(instances) != len(clicks):
        raise InputError(f"segment_each: expected one answer per click, {len(clicks)}, got {len(instances)}")
    objects = []
    for found, click, instance in zip(wanted, clicks, instances, strict=True):
        entry = {**_nothing(found.id), "click": [click.x, click.y]}
        if instance is not None:
            entry |= found_entry(instance, truth)
            entry["iou"] = float(rle_iou([entry["rle"]], [found.rle])[0, 0])
        objects.append(entry)
    return {"objects": objects}


def found_entry(instance: Instance, truth: PhotoTruth) -> dict[str, Any]:
    """Return mask and score of an instance for a record.

    Raises:
        InputError: the mask is not of the photo's size.
    """
    size = (truth.record.height, truth.record.width)
    if instance.mask.shape != size:
        raise InputError(f"a mask is {instance.mask.shape}, the photo {size}; masks cover the whole photo")
    return {"rle": mask_to_rle(instance.mask), "score": float(instance.score)}


def _nothing(annotation_id: int) -> dict[str, Any]:
    return {"id": annotation_id, "click": None, "iou": 0.0, "score": None, "rle": None}


def score_one_click(
    results: Results, max_detections: int = MAX_DETECTIONS, seed: int = 0, lvis: bool = False
) -> tuple[dict[str, Any], PrecisionRecall]:
    """Turn the records of all photos into the flat result.

    Returns:
        (result, what COCOeval found). The result has n, miou, miou_small … ap, ap_small … ar; besides, n by
        size, success_50 and success_85 (fraction of objects with at least that IoU), miou_source_NAME and
        n_source_NAME; and the 95 % intervals of each miou…, of ap and of ar as …_ci_low and …_ci_high
        (bootstrap over photos; of ap and ar None by LVIS's rules). Fractions of 1; None with nothing to
        average.
    """
    ious, areas, sources, photos = [], [], [], []
    for number, (truth, record) in enumerate(results):
        for found, entry in zip(truth.objects_to_find(), record["objects"], strict=True):
            ious.append(entry["iou"])
            areas.append(found.area)
            sources.append(truth.record.source or "unknown")
            photos.append(number)
    by_size = mean_by_size(ious, areas)
    sizes = [size_of(area) for area in areas]

    def interval(name: str, labels: Sequence[str] | None = None, label: str = "") -> dict[str, float | None]:
        chosen = [index for index in range(len(ious)) if labels is None or labels[index] == label]
        found = _mean_interval([ious[i] for i in chosen], [photos[i] for i in chosen], seed)
        return {f"{name}_ci_low": found[0], f"{name}_ci_high": found[1]}

    queries = (_query(truth, record, photo) for photo, (truth, record) in enumerate(results))
    precision_recall = measure_precision_recall(queries, max_detections, lvis, seed)
    figures = precision_recall.figures
    result: dict[str, Any] = {
        "n": len(ious),
        "miou": by_size["all"],
        **{f"miou_{size}": by_size[size] for size in SIZES},
        **{key: figures[key] for key in ("ap", "ap_small", "ap_medium", "ap_large", "ar", "ap50", "ap75")},
        **{key: figures[key] for key in ("ap_ci_low", "ap_ci_high", "ar_ci_low", "ar_ci_high")},
        "max_detections": max_detections,
        "ap_rules": "lvis" if lvis else "coco",
        "images": len(results),
        **{f"n_{size}": sizes.count(size) for size in SIZES},
        **interval("miou"),
        "success_50": mean([iou >= 0.5 for iou in ious]),
        "success_85": mean([iou >= 0.85 for iou in ious]),
    }
    for size in SIZES:
        result |= interval(f"miou_{size}", sizes, size)
    for source in sorted(set(sources)):
        values = [iou for iou, own in zip(ious, sources, strict=True) if own == source]
        result |= {f"n_source_{source}": len(values), f"miou_source_{source}": mean(values)}
        result |= interval(f"miou_source_{source}", sources, source)
    return result, precision_recall


def _mean_interval(
    values: Sequence[float], photos: Sequence[int], seed: int
) -> tuple[float | None, float | None]:
    """Return the 95 % interval of the values' mean, by bootstrap over the photos that they belong to."""
    sums: dict[int, float] = defaultdict(float)
    counts: dict[int, int] = defaultdict(int)
    for value, photo in zip(values, photos, strict=True):
        sums[photo] += value
        counts[photo] += 1
    return bootstrap_ratio(list(sums.values()), list(counts.values()), seed=seed) or (None, None)


def _query(truth: PhotoTruth, record: dict[str, Any], photo: int) -> Query:
    return Query(
        [Truth(found.rle, found.area, found.crowd) for found in truth.objects],
        [Detection(entry["rle"], entry["score"]) for entry in record["objects"] if entry["rle"] is not None],
        photo,
    )
