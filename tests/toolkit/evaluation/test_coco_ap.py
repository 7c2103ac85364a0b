from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.helpers.systems import box_mask
from toolkit.evaluation.coco_ap import Detection, Query, Truth, measure_precision_recall
from toolkit.masks import mask_to_rle


def random_queries(rng: np.random.Generator) -> list[Query]:
    """Photos with boxes of all sizes, some crowds, areas that are not the masks', detections near and far."""
    queries = []
    for _ in range(12):
        truths, detections = [], []
        for _ in range(rng.integers(0, 7)):
            side = int(rng.choice([12, 40, 120]))
            x, y = (int(v) for v in rng.integers(0, 200 - side, 2))
            area = side * side * rng.uniform(0.5, 1.5)
            truths.append(Truth(mask_to_rle(box_mask(x, y, side, side)), area, bool(rng.random() < 0.1)))
            if rng.random() < 0.8:
                shift = int(rng.integers(0, side // 2))
                found = box_mask(x + shift, y, side, int(side * rng.uniform(0.6, 1)))
                detections.append(Detection(mask_to_rle(found), float(rng.random())))
        for _ in range(rng.integers(0, 3)):
            x, y = (int(v) for v in rng.integers(0, 150, 2))
            detections.append(Detection(mask_to_rle(box_mask(x, y, 30, 30)), float(rng.random())))
        queries.append(Query(truths, detections))
    return queries


def by_pycocotools(queries: list[Query], folder: Path, max_detections: int) -> np.ndarray:
    """The twelve numbers that COCOeval prints, by way of the files people use."""
    truths, found = [], []
    for image, query in enumerate(queries, start=1):
        for truth in query.truths:
            truths.append(
                {
                    "id": len(truths) + 1, "image_id": image, "category_id": 1, "segmentation": truth.rle,
                    "area": truth.area, "iscrowd": int(truth.crowd), "bbox": [0, 0, 1, 1],
                }
            )  # fmt: skip
        for detection in query.detections:
            found.append(
                {"image_id": image, "category_id": 1, "segmentation": detection.rle, "score": detection.score}
            )
    images = [{"id": image, "height": 200, "width": 200} for image in range(1, len(queries) + 1)]
    path = folder / "truth.json"
    path.write_text(
        json.dumps({"images": images, "annotations": truths, "categories": [{"id": 1, "name": "a"}]})
    )
    coco = COCO(str(path))
    evaluation = COCOeval(coco, coco.loadRes(found), "segm")
    evaluation.params.maxDets = [1, 10, max_detections]
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats


@pytest.mark.parametrize("seed", range(4))
def test_numbers_equal_pycocotools(tmp_path: Path, seed: int) -> None:
    queries = random_queries(np.random.default_rng(seed))
    stats = by_pycocotools(queries, tmp_path, 100)
    figures = measure_precision_recall(queries).figures
    names = {
        "ap": 0, "ap50": 1, "ap75": 2, "ap_small": 3, "ap_medium": 4, "ap_large": 5,
        "ar": 8, "ar_small": 9, "ar_medium": 10, "ar_large": 11,
    }  # fmt: skip
    for name, index in names.items():
        expected = None if stats[index] == -1 else pytest.approx(stats[index], abs=1e-12)
        assert figures[name] == expected, name


def test_fewer_detections_count_when_told(tmp_path: Path) -> None:
    truths = [Truth(mask_to_rle(box_mask(20 * i, 0, 10, 10)), 100) for i in range(4)]
    found = [Detection(truth.rle, 0.9 - 0.1 * index) for index, truth in enumerate(truths)]
    assert measure_precision_recall([Query(truths, found)], max_detections=3).figures["ar"] == 0.75


def test_the_annotations_area_decides_the_size() -> None:
    truth = Truth(mask_to_rle(box_mask(0, 0, 10, 10)), area=20_000)
    figures = measure_precision_recall([Query([truth], [Detection(truth.rle, 0.5)])]).figures
    assert figures["ap_large"] == pytest.approx(1)
    assert figures["ap_small"] is None
    assert figures["ar_medium"] is None


def test_nothing_to_find_has_no_figures() -> None:
    found = Detection(mask_to_rle(box_mask(0, 0, 10, 10)), 0.5)
    for queries in ([], [Query([], [])], [Query([], [found])]):
        result = measure_precision_recall(queries)
        assert set(result.figures.values()) == {None}
        assert result.curves is None


def test_nothing_found_is_zero() -> None:
    truth = Truth(mask_to_rle(box_mask(0, 0, 10, 10)), 100)
    figures = measure_precision_recall([Query([truth], [])]).figures
    assert (figures["ap"], figures["ar"], figures["ap_large"]) == (0, 0, None)


def test_queries_do_not_share_detections() -> None:
    """A mask found for one click does not count for another, though both are on one photo."""
    first, second = (mask_to_rle(box_mask(x, 0, 10, 10)) for x in (0, 50))
    queries = [
        Query([Truth(first, 100)], [Detection(second, 0.9)]),
        Query([Truth(second, 100)], [Detection(first, 0.9)]),
    ]
    assert measure_precision_recall(queries).figures["ar"] == 0
