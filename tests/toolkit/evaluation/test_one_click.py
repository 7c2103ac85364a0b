from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.systems import KnowingSystem, box_mask, object_of, write_objects
from toolkit.errors import InputError
from toolkit.evaluation.one_click import run_one_click
from toolkit.image import open_image

SMALL, MEDIUM, LARGE = box_mask(0, 0, 10, 10), box_mask(40, 0, 40, 40), box_mask(0, 90, 100, 100)


def half_seeing(annotation, mask):
    """The small one exactly, the upper half of the medium one, nothing of the large one."""
    area = int(mask.sum())
    if area == 100:
        return mask, 0.9
    if area == 1600:
        return box_mask(40, 0, 40, 20), 0.8
    return None


@pytest.fixture
def three(tmp_path: Path):
    return write_objects(tmp_path / "split", [[object_of(mask) for mask in (SMALL, MEDIUM, LARGE)]])


def test_a_perfect_system(three, tmp_path: Path) -> None:
    result = run_one_click(three, KnowingSystem(three), tmp_path / "out")
    assert result["n"] == 3
    for key in ("miou", "miou_small", "miou_medium", "miou_large", "ap", "ap_small", "ap_large", "ar"):
        assert result[key] == pytest.approx(1), key


def test_a_bad_system_by_hand(three, tmp_path: Path) -> None:
    result = run_one_click(three, KnowingSystem(three, half_seeing), tmp_path / "out")
    assert [result[f"miou{size}"] for size in ("", "_small", "_medium", "_large")] == [0.5, 1, 0.5, 0]
    assert result["success_50"] == pytest.approx(2 / 3)
    assert result["success_85"] == pytest.approx(1 / 3)
    # IoU 0.5: recall 2/3 at precision 1, so 67 of 101 points; above: 1/3, so 34
    assert result["ap"] == pytest.approx((67 + 9 * 34) / 1010)
    assert result["ar"] == pytest.approx((2 / 3 + 9 / 3) / 10)
    assert result["ap_small"] == pytest.approx(1)
    assert result["ap_medium"] == pytest.approx(0.1)
    assert result["ap_large"] == 0
    assert result["miou_ci_low"] is None  # one photo says nothing about spread


def test_intervals_by_size_and_source(tmp_path: Path) -> None:
    # small objects are found in every photo, large ones in none: no spread, whatever is drawn
    split = write_objects(tmp_path / "split", [[object_of(SMALL), object_of(LARGE)] for _ in range(3)])
    result = run_one_click(split, KnowingSystem(split, half_seeing), tmp_path / "out")
    intervals = {
        key.removesuffix("_ci_low"): (low, result[key.replace("_low", "_high")])
        for key, low in result.items()
        if key.endswith("_ci_low")
    }
    assert intervals == {
        "miou": (0.5, 0.5),
        "miou_small": (1, 1),
        "miou_medium": (None, None),
        "miou_large": (0, 0),
        "miou_source_unknown": (0.5, 0.5),
        # half of the objects, without a wrong mask: precision 1 up to recall 0.5
        "ap": (pytest.approx(51 / 101), pytest.approx(51 / 101)),
        "ar": (0.5, 0.5),
    }
    table = (tmp_path / "out" / "table.md").read_text()
    assert "| small | 3 | 100.0 | 100.0 to 100.0 |" in table
    assert "| medium | 0 | – | – |" in table


def test_the_files(three, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run_one_click(three, KnowingSystem(three, half_seeing), out)
    assert json.loads((out / "result.json").read_text()) == result
    assert all(value is None or isinstance(value, (int, float, str)) for value in result.values())
    assert "| knowing | 3 | 50.0 | 100.0 | 50.0 | 0.0 |" in (out / "table.md").read_text()
    assert open_image(out / "iou.png").std() > 5
    report = json.loads((out / "report.json").read_text())
    assert report["skipped"] == []
    assert report["images"] == report["measured_now"] == 1


def test_nothing_of_a_size_is_null(tmp_path: Path) -> None:
    split = write_objects(tmp_path / "split", [[object_of(SMALL)], [object_of(SMALL)]])
    result = run_one_click(split, KnowingSystem(split), tmp_path / "out")
    assert result["miou_medium"] is result["ap_large"] is None
    assert (result["miou_ci_low"], result["miou_ci_high"]) == (1, 1)


def test_the_area_on_file_decides_the_size(tmp_path: Path) -> None:
    split = write_objects(tmp_path / "split", [[object_of(SMALL, area=20_000.0)]])
    result = run_one_click(split, KnowingSystem(split), tmp_path / "out")
    assert (result["miou_small"], result["miou_large"], result["n_large"]) == (None, 1, 1)


def test_sources_side_by_side(tmp_path: Path) -> None:
    photos = [[object_of(SMALL)], [object_of(LARGE)], [object_of(SMALL)]]
    split = write_objects(tmp_path / "split", photos, sources=["coco", "litter", "litter"])
    result = run_one_click(split, KnowingSystem(split, half_seeing), tmp_path / "out")
    assert (result["miou_source_coco"], result["n_source_coco"]) == (1, 1)
    assert (result["miou_source_litter"], result["n_source_litter"]) == (0.5, 2)


def test_crowds_are_not_clicked_and_do_not_count(tmp_path: Path) -> None:
    photo = [object_of(SMALL), object_of(MEDIUM, iscrowd=1)]
    split = write_objects(tmp_path / "split", [photo, [object_of(MEDIUM, iscrowd=1)]])
    system = KnowingSystem(split)
    result = run_one_click(split, system, tmp_path / "out")
    assert (result["n"], result["miou"], result["ap"], system.encoded) == (1, 1, pytest.approx(1), 1)


def test_running_again_computes_nothing_again(three, tmp_path: Path) -> None:
    out, system = tmp_path / "out", KnowingSystem(three, half_seeing)
    first = run_one_click(three, system, out)
    with open(out / "records.jsonl", "a") as file:
        file.write('{"key": "abc", "rec')  # a run that was killed while it wrote
    assert run_one_click(three, system, out) == first
    assert system.encoded == 1
    assert json.loads((out / "report.json").read_text())["from_records"] == 1
    run_one_click(three, system, out, jitter=0.2)  # other clicks are other work, and the old one is kept
    run_one_click(three, system, out)
    assert system.encoded == 2
    assert (out / "records.jsonl").read_text().count("\n") == 3


def test_other_weights_are_measured_anew(three, tmp_path: Path) -> None:
    system = KnowingSystem(three)
    system.fingerprint = "first"
    run_one_click(three, system, tmp_path / "out")
    system.fingerprint, system.alter = "second", half_seeing
    assert run_one_click(three, system, tmp_path / "out")["miou"] == 0.5


def test_a_changed_annotation_is_measured_anew(tmp_path: Path) -> None:
    split = write_objects(tmp_path / "one", [[object_of(SMALL)]])
    run_one_click(split, KnowingSystem(split), tmp_path / "out")
    other = write_objects(tmp_path / "two", [[object_of(box_mask(0, 0, 10, 12))]])
    result = run_one_click(other, KnowingSystem(split), tmp_path / "out")
    assert result["miou"] == pytest.approx(100 / 120)


def test_a_higher_limit_goes_on(tmp_path: Path) -> None:
    split = write_objects(tmp_path / "split", [[object_of(SMALL)] for _ in range(9)] + [[]])
    system = KnowingSystem(split)
    assert run_one_click(split, system, tmp_path / "out", limit=4)["n"] == 4
    assert run_one_click(split, system, tmp_path / "out", limit=7)["n"] == 7
    assert run_one_click(split, system, tmp_path / "out")["n"] == 9
    assert system.encoded == 9


def test_what_cannot_be_used_is_listed(tmp_path: Path) -> None:
    empty = object_of(np.zeros((200, 200), bool), id=7)
    split = write_objects(
        tmp_path / "split", [[object_of(SMALL), empty], [object_of(SMALL)], [object_of(SMALL)]]
    )
    system = KnowingSystem(split)
    (split.root / "images" / "photo1.png").write_bytes(b"no photo")
    (split.root / "images" / "photo2.png").unlink()
    result = run_one_click(split, system, tmp_path / "out")
    assert (result["n"], result["images"]) == (1, 1)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["unreadable_images"] == 2
    assert [entry["item"] for entry in report["skipped"]] == [
        "photo0.png: annotation 7", "photo1.png", "photo2.png",
    ]  # fmt: skip


def test_a_photo_of_another_size_is_listed(tmp_path: Path) -> None:
    split = write_objects(tmp_path / "split", [[object_of(SMALL)], [object_of(SMALL)]])
    system = KnowingSystem(split)
    small = write_objects(tmp_path / "small", [[object_of(SMALL[:50, :60])]])
    (split.root / "images" / "photo1.png").write_bytes((small.root / "images" / "photo0.png").read_bytes())
    assert run_one_click(split, system, tmp_path / "out")["n"] == 1
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert "60 × 50" in report["skipped"][0]["reason"]


class Failing(KnowingSystem):
    """Fails on the first photo it sees."""

    failures = 1

    def encode(self, image):
        if self.encoded < self.failures:
            self.encoded += 1
            raise RuntimeError("out of memory")
        return super().encode(image)


def test_a_failure_counts_as_nothing_found_and_is_tried_again(tmp_path: Path) -> None:
    split = write_objects(tmp_path / "split", [[object_of(SMALL)], [object_of(SMALL)]])
    system = Failing(split)
    result = run_one_click(split, system, tmp_path / "out")
    assert (result["n"], result["miou"], result["ar"]) == (2, 0.5, 0.5)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["failed_images"] == 1
    assert "out of memory" in report["skipped"][0]["reason"]
    assert run_one_click(split, system, tmp_path / "out")["miou"] == 1
    assert system.encoded == 3


def test_a_system_that_always_fails_is_an_error(three, tmp_path: Path) -> None:
    system = Failing(three)
    system.failures = 99
    with pytest.raises(InputError, match="failed on every photo"):
        run_one_click(three, system, tmp_path / "out")


def test_a_split_without_objects_is_an_error(tmp_path: Path) -> None:
    split = write_objects(tmp_path / "split", [[]])
    with pytest.raises(InputError, match="no photo could be measured"):
        run_one_click(split, KnowingSystem(split), tmp_path / "out")


@pytest.mark.parametrize("jitter", [-0.1, float("nan"), float("inf")])
def test_a_bad_jitter_is_refused(three, tmp_path: Path, jitter: float) -> None:
    with pytest.raises(InputError, match="jitter"):
        run_one_click(three, KnowingSystem(three), tmp_path / "out", jitter=jitter)
