"""Average precision and recall, class-agnostic, as pycocotools computes them; for LVIS, as lvis does."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from toolkit.evaluation.ap_interval import MatchedDetections, ap_intervals
from toolkit.evaluation.lvis_ap import MAX_DETECTIONS as LVIS_MAX_DETECTIONS
from toolkit.evaluation.lvis_ap import evaluate_lvis, is_lvis
from toolkit.masks import rle_area, rle_box
from toolkit.split import Split

RLE = Mapping[str, Any]
MAX_DETECTIONS = 100  # COCO's (https://cocodataset.org/#detection-eval)
_RANGES = ("all", "small", "medium", "large")


@dataclass(frozen=True)
class Truth:
    """A mask that should be found; `area` in pixels decides its size; a crowd counts neither way."""

    rle: RLE
    area: float
    crowd: bool = False


@dataclass(frozen=True)
class Detection:
    """A mask that was found, and how sure the system is of it."""

    rle: RLE
    score: float


@dataclass(frozen=True)
class Query:
    """Detections and the truths they may match: those of one photo, or of one click on it.

    `photo` is the number of the photo, from 0: queries of one photo succeed and fail together.
    """

    truths: Sequence[Truth]
    detections: Sequence[Detection]
    photo: int = 0


@dataclass(frozen=True)
class PrecisionRecall:
    """What COCOeval found.

    Attributes:
        figures: ap, ap50, ap75 and ar, each also with _small, _medium and _large; IoU 0.50 to 0.95 in steps
            of 0.05 for ap and ar; fractions of 1, None where there is no such truth. Where they were asked
            for, the 95 % intervals of ap and ar as well: ap_ci_low, ap_ci_high, ar_ci_low, ar_ci_high.
        curves: float [10, 101], precision per IoU threshold and recall 0, 0.01 … 1; None without truths.
    """

    figures: dict[str, float | None]
    curves: np.ndarray | None


def detections_that_count(split: Split, asked: int | None) -> tuple[int, bool]:
    """Return how many detections of a photo count, and whether LVIS's rules do.

    Args:
        split: what is measured; one of LVIS is measured by LVIS's rules.
        asked: the number that was asked for; None takes the benchmark's own.
    """
    lvis = is_lvis(split)
    return asked or (LVIS_MAX_DETECTIONS if lvis else MAX_DETECTIONS), lvis


def measure_precision_recall(
    queries: Iterable[Query],
    max_detections: int = MAX_DETECTIONS,
    lvis: bool = False,
    bootstrap: int | None = None,
) -> PrecisionRecall:
    """Run COCOeval or LVISEval over masks of one class, every query an image of its own.

    Args:
        queries: what was found and what should have been.
        max_detections: of a query that count, the best scores first.
        lvis: run LVISEval.
        bootstrap: seed of a bootstrap over photos, for the intervals of ap and ar; None for none. With
            LVISEval they are None.
    """
    queries = list(queries)
    truth, found = as_coco(queries)
    intervals = None
    if lvis and found.anns:
        tables = (truth.dataset["images"], truth.dataset["annotations"], found.dataset["annotations"])
        precisions, recalls, thresholds = evaluate_lvis(*tables, max_detections)
        precision, recall = precisions[:, :, 0, :], recalls[:, 0, :]
    else:
        evaluation = COCOeval(truth, found, "segm")
        evaluation.params.maxDets = [max_detections]
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.evaluate()
            evaluation.accumulate()
        precision = evaluation.eval["precision"][:, :, 0, :, 0]  # [T, 101, range]; -1 where there is no truth
        recall = evaluation.eval["recall"][:, 0, :, 0]  # [T, range]
        thresholds = evaluation.params.iouThrs
        if bootstrap is not None:
            # of all areas, which come first
            images = evaluation.evalImgs[: len(queries)]
            matched = MatchedDetections(images, [query.photo for query in queries])
            intervals = ap_intervals(matched, evaluation.params.recThrs, seed=bootstrap)
    figures: dict[str, float | None] = {}
    for index, name in enumerate(_RANGES):
        suffix = "" if name == "all" else f"_{name}"
        figures[f"ap{suffix}"] = _mean(precision[:, :, index])
        figures[f"ap50{suffix}"] = _mean(precision[np.isclose(thresholds, 0.5), :, index])
        figures[f"ap75{suffix}"] = _mean(precision[np.isclose(thresholds, 0.75), :, index])
        figures[f"ar{suffix}"] = _mean(recall[:, index])
    if bootstrap is not None:
        for name, (low, high) in zip(("ap", "ar"), intervals or ((None, None),) * 2, strict=True):
            figures |= {f"{name}_ci_low": low, f"{name}_ci_high": high}
    curves = precision[:, :, 0]
    return PrecisionRecall(figures, None if (curves < 0).all() else curves)


def as_coco(queries: Iterable[Query]) -> tuple[COCO, COCO]:
    """Put queries into the tables that COCOeval reads."""
    images: list[dict] = []
    truths: list[dict] = []
    found: list[dict] = []
    for number, query in enumerate(queries, start=1):
        masks = [truth.rle for truth in query.truths] + [detection.rle for detection in query.detections]
        height, width = masks[0]["size"] if masks else (0, 0)
        images.append({"id": number, "height": height, "width": width})
        for truth in query.truths:
            # ids from 1: COCOeval marks "no match" with 0
            row = {"id": len(truths) + 1, "image_id": number, "category_id": 1, "iscrowd": int(truth.crowd)}
            truths.append({**row, "segmentation": dict(truth.rle), "area": float(truth.area)})
        for detection in query.detections:
            rle = dict(detection.rle)
            row = {"id": len(found) + 1, "image_id": number, "category_id": 1, "iscrowd": 0}
            more = {"score": float(detection.score), "area": rle_area(rle), "bbox": list(rle_box(rle))}
            found.append({**row, "segmentation": rle, **more})
    return _table(images, truths), _table(images, found)


def _table(images: list[dict], annotations: list[dict]) -> COCO:
    coco = COCO()
    coco.dataset = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "object"}]}
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def _mean(values: np.ndarray) -> float | None:
    counted = values[values > -1]
    return float(counted.mean()) if counted.size else None
