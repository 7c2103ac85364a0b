"""AP and AR of splits of LVIS, held against the lvis package run over files, as people run it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from lvis import LVISEval

from tests.helpers.systems import KnowingSystem, box_mask, object_of, write_objects
from tests.toolkit.evaluation.test_coco_ap import random_queries
from toolkit.data.convert_lvis import write_lvis
from toolkit.evaluation.coco_ap import Query, Truth, detections_that_count, measure_precision_recall
from toolkit.evaluation.detection import run_detection
from toolkit.evaluation.lvis_ap import is_lvis, numpy_float
from toolkit.evaluation.one_click import run_one_click
from toolkit.masks import mask_to_rle
from toolkit.report import Report
from toolkit.split import read_split


def by_lvis(queries: list[Query], folder: Path) -> dict[str, float]:
    """What LVISEval prints for truth and result files."""
    images, truths, found = [], [], []
    for image, query in enumerate(queries, start=1):
        own = [truth for truth in query.truths if not truth.crowd]
        images.append(
            {
                "id": image, "height": 200, "width": 200,
                "neg_category_ids": [] if own else [1], "not_exhaustive_category_ids": [],
            }
        )  # fmt: skip
        for truth in own:
            row = {"id": len(truths) + 1, "image_id": image, "category_id": 1, "bbox": [0, 0, 1, 1]}
            truths.append({**row, "segmentation": truth.rle, "area": truth.area})
        for item in query.detections:
            row = {"image_id": image, "category_id": 1, "score": item.score}
            found.append({**row, "segmentation": item.rle})
    categories = [{"id": 1, "name": "a", "frequency": "f", "image_count": 9}]
    table = {"images": images, "annotations": truths, "categories": categories}
    (folder / "truth.json").write_text(json.dumps(table))
    (folder / "found.json").write_text(json.dumps(found))
    evaluation = LVISEval(str(folder / "truth.json"), str(folder / "found.json"), "segm")
    with numpy_float():
        evaluation.run()
    return evaluation.get_results()


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_lvis(seed: int, tmp_path: Path) -> None:
    queries = random_queries(np.random.default_rng(seed))
    expected = by_lvis(queries, tmp_path)
    figures = measure_precision_recall(queries, 300, lvis=True).figures
    names = {
        "ap": "AP", "ap50": "AP50", "ap75": "AP75", "ap_small": "APs", "ap_medium": "APm", "ap_large": "APl",
        "ar": "AR@300", "ar_small": "ARs@300", "ar_medium": "ARm@300", "ar_large": "ARl@300",
    }  # fmt: skip
    assert 0 < expected["AP"] < 1
    for ours, theirs in names.items():
        assert figures[ours] == pytest.approx(expected[theirs], abs=1e-12), ours


def test_fewer_detections_can_be_asked_for() -> None:
    queries = random_queries(np.random.default_rng(1))
    one, many = (measure_precision_recall(queries, most, lvis=True).figures for most in (1, 300))
    assert one["ar"] < many["ar"]


def test_nothing_found_and_nothing_there() -> None:
    truth = [Truth(mask_to_rle(box_mask(10, 10, 40, 40)), 1600)]
    assert measure_precision_recall([Query(truth, [])], lvis=True).figures["ap"] == 0
    crowd = [Truth(t.rle, t.area, crowd=True) for t in truth]
    nothing = measure_precision_recall([Query(crowd, [])], lvis=True)
    assert nothing.figures["ap"] is None


def test_numpy_is_left_as_it_was() -> None:
    with numpy_float():
        assert np.float is float  # type: ignore[attr-defined]  # noqa: NPY001
    assert not hasattr(np, "float")


def test_a_split_of_lvis_is_known_and_measured_by_its_rules(tmp_path: Path) -> None:
    masks = [box_mask(10, 10, 20, 20), box_mask(60, 60, 100, 100)]
    coco = write_objects(tmp_path / "coco", [[object_of(m, group_id=1) for m in masks]])
    write_lvis(coco, tmp_path / "lvis", Report())
    lvis = read_split(tmp_path / "lvis")
    assert (is_lvis(coco), is_lvis(lvis)) == (False, True)
    assert detections_that_count(coco, None) == (100, False)
    assert detections_that_count(lvis, None) == (300, True)
    assert detections_that_count(lvis, 7) == (7, True)
    system = KnowingSystem(lvis)
    result = run_one_click(lvis, system, tmp_path / "out")
    assert (result["max_detections"], result["ap_rules"], result["ap"]) == (300, "lvis", 1.0)
    assert "as LVISEval computes them: at most 300" in (tmp_path / "out/table.md").read_text()
    both = run_detection(lvis, system, tmp_path / "both", baseline=system)
    assert (both["max_detections"], both["ap_rules"], both["gain_ap"]) == (300, "lvis", 0.0)
    assert run_one_click(coco, KnowingSystem(coco), tmp_path / "plain")["ap_rules"] == "coco"
