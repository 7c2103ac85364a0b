from __future__ import annotations

import json

import numpy as np
import pytest

from synth.photos import open_regions
from synth.regions.evaluation import (
    CLASSES,
    CountedPhotos,
    confusion,
    count_regions,
    evaluate_regions,
    intervals,
    region_table,
    scores,
)
from synth.regions.labels import GROUND, SKY
from tests.helpers.scenes import write_photos
from toolkit.cli import run
from toolkit.report import Report
from toolkit.split import read_split


def test_confusion_by_hand():
    truth = np.array([[1, 1, 4], [4, 255, 0]], np.uint8)
    found = np.array([[1, 4, 4], [255, 1, 0]], np.uint8)
    counts = confusion(truth, found)
    assert counts.sum() == 5  # the unknown pixel does not count
    assert (counts[1, 1], counts[1, 4], counts[4, 4], counts[4, 7], counts[0, 0]) == (1, 1, 1, 1, 1)
    result = scores(counts)
    assert result["iou_ground"] == pytest.approx(1 / 2)  # 1 hit, 2 true, 1 found
    assert result["iou_sky"] == pytest.approx(1 / 3)  # 1 hit, 2 true, 2 found
    assert result["iou_other"] == 1.0
    assert result["iou_sea"] is None
    assert result["miou"] == pytest.approx((1 / 2 + 1 / 3 + 1) / 3)
    assert result["accuracy"] == pytest.approx(3 / 5)


def test_evaluation_of_a_perfect_and_a_blind_extractor(tmp_path):
    split = read_split(write_photos(tmp_path / "photos", count=3))
    truths = {record.file_name: open_regions(split.regions_path(record), 120, 160) for record in split}
    by_pixels = {split.open_image(record).tobytes(): truths[record.file_name] for record in split}
    report = Report()
    perfect = evaluate_regions(
        count_regions(lambda images: [by_pixels[image.tobytes()] for image in images], split, report, 2)
    )
    assert (perfect["n"], perfect["miou"], perfect["accuracy"]) == (3, 1.0, 1.0)
    blind = evaluate_regions(
        count_regions(lambda images: [np.full((120, 160), GROUND, np.uint8) for _ in images], split, report)
    )
    share = np.mean([np.mean(truth == GROUND) for truth in truths.values()])
    assert blind["accuracy"] == pytest.approx(share)
    assert blind["iou_ground"] == pytest.approx(share)
    assert blind["iou_wall"] == 0
    split.regions_path(split.images[0]).unlink()
    split.image_path(split.images[1]).unlink()
    rest = count_regions(lambda images: [np.zeros((120, 160), np.uint8)] * len(images), split, report)
    assert len(rest.counts) == len(rest.sources) == 1
    assert [item for item, _ in report.skipped] == ["photo0.png", "photo1.png"]


def counted(*photos):
    """Counts of one photo each: true class, found class, pixels."""
    counts = np.zeros((len(photos), CLASSES, CLASSES + 1), np.int64)
    for place, cells in enumerate(photos):
        for truth, found, pixels in cells:
            counts[place, truth, found] += pixels
    return counts


def test_intervals_by_hand():
    # A photo of ground, all found, and one of sky, all missed: drawn are both photos (mean of 10 / 20 and 0),
    # the first twice (1) or the second twice (0).
    counts = counted([(GROUND, GROUND, 10)], [(SKY, GROUND, 10)])
    found = intervals(counts)
    assert found["accuracy"] == (0.0, 1.0)
    assert intervals(counts, level=0.4)["miou"] == (0.25, 0.25)
    assert found["iou_ground"] == (None, None)  # one photo says nothing about spread
    assert found["iou_sea"] == (None, None)
    alike = intervals(counted(*[[(GROUND, GROUND, 3), (GROUND, SKY, 1)]] * 3))
    assert alike["iou_ground"] == (0.75, 0.75)


def test_figures_by_source_and_the_table():
    counts = counted([(GROUND, GROUND, 10)], [(GROUND, GROUND, 5), (GROUND, SKY, 5)])
    result = evaluate_regions(CountedPhotos(counts, ["street", "beach"]))
    assert (result["n"], result["n_source_street"], result["n_source_beach"]) == (2, 1, 1)
    assert (result["miou"], result["miou_source_street"], result["miou_source_beach"]) == (0.75, 1.0, 0.5)
    assert result["accuracy_source_beach"] == 0.5
    assert (result["miou_ci_low"], result["miou_ci_high"]) == (0.5, 1.0)
    table = region_table(result)
    assert "| 2 | 75.0 | 75.0 | – | 75.0 |" in table
    assert "| 95 % interval | 50.0 to 100.0 |" in table
    assert "| beach | 1 | 50.0 | 50.0 |" in table


def test_the_evaluation_command_writes_a_result(model, tmp_path):
    photos = write_photos(tmp_path / "photos", count=2)
    arguments = [str(photos), "--out", str(tmp_path / "out"), "--system", str(model), "--device", "cpu"]
    assert run(["eval", "regions", *arguments]) == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["n"] == 2
    assert result["iou_sea"] is None
    assert 0 <= result["iou_ground"] <= 1
    assert "mIoU" in (tmp_path / "out" / "table.md").read_text()
    assert (tmp_path / "out" / "regions.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "out" / "report.json").read_text())["unmapped_labels"] == ["blob"]
