from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.systems import KnowingSystem, box_mask, object_of, write_objects
from toolkit.errors import InputError
from toolkit.evaluation.groups import click_groups, run_groups
from toolkit.evaluation.truth import read_truth
from toolkit.image import open_image
from toolkit.report import Report

FOUR = [box_mask(40 * i, 0, 20, 20) for i in range(4)]
ALONE, ELSEWHERE = box_mask(0, 100, 20, 20), box_mask(150, 150, 20, 20)


@pytest.fixture
def split(tmp_path: Path):
    """One photo with a group of four and a group of one."""
    photo = [object_of(mask, group_id=1) for mask in FOUR] + [object_of(ALONE, group_id=2)]
    return write_objects(tmp_path / "split", [photo])


def three_of_four(annotation, mask):
    """Scores 0.9, 0.8, 0.7 for the first three of the group, 0.6 for the one alone."""
    scores = {0: 0.9, 40: 0.8, 80: 0.7, 120: None}
    if annotation.group_id == 2:
        return mask, 0.6
    score = scores[int(mask.any(axis=0).argmax())]
    return None if score is None else (mask, score)


def test_a_perfect_system(split, tmp_path: Path) -> None:
    result = run_groups(split, KnowingSystem(split), tmp_path / "out")
    assert (result["n"], result["n_multi"], result["siblings"]) == (2, 1, 5)
    for key in ("ap", "ar", "ap_small", "ar_small", "precision", "recall", "exact", "ap_multi"):
        assert result[key] == pytest.approx(1), key
    assert result["ap_medium"] is result["ar_large"] is None


def test_a_bad_system_by_hand(split, tmp_path: Path) -> None:
    system = KnowingSystem(split, three_of_four, more=[(ELSEWHERE, 0.95)])
    result = run_groups(split, system, tmp_path / "out")
    # returned: 3 + 1 wrong for the group of four, 1 + 1 wrong for the other; 5 siblings to find
    assert (result["siblings"], result["returned"]) == (5, 6)
    assert result["precision"] == pytest.approx(4 / 6)
    assert result["recall"] == pytest.approx(4 / 5)
    assert result["ar"] == pytest.approx(4 / 5)
    # two wrong ones first, then four right ones: precision 4/6 up to recall 0.8, which is 81 of 101 points
    assert result["ap"] == pytest.approx(4 / 6 * 81 / 101)
    assert (result["exact"], result["precision_multi"], result["recall_multi"]) == (0, 0.75, 0.75)


def test_by_source_with_intervals(tmp_path: Path) -> None:
    photo = [object_of(mask, group_id=1) for mask in FOUR]
    split = write_objects(tmp_path / "split", [photo] * 3, sources=["street", "street", "beach"])
    result = run_groups(split, KnowingSystem(split, three_of_four, more=[(ELSEWHERE, 0.5)]), tmp_path / "out")
    # three of four siblings and a wrong mask in every photo: no spread, whatever is drawn
    assert (result["n_source_street"], result["n_source_beach"]) == (2, 1)
    assert result["precision_source_street"] == result["recall_source_beach"] == 0.75
    assert (result["recall_source_street_ci_low"], result["recall_source_street_ci_high"]) == (0.75, 0.75)
    assert result["precision_source_beach_ci_low"] is None
    assert result["ap_ci_low"] == result["ap_ci_high"] == pytest.approx(result["ap"])
    assert result["ar_ci_low"] == result["ar_ci_high"] == pytest.approx(0.75)
    table = (tmp_path / "out" / "table.md").read_text()
    assert "| street | 2 | 75.0 | 75.0 to 75.0 | 75.0 | 75.0 to 75.0 |" in table
    assert "| beach | 1 | 75.0 | – | 75.0 | – |" in table


def test_the_files(split, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run_groups(split, KnowingSystem(split, three_of_four), out)
    assert json.loads((out / "result.json").read_text()) == result
    sizes = ("", "_small", "_medium", "_large")
    promised = {"n", "precision", "recall", *(f"{name}{size}" for name in ("ap", "ar") for size in sizes)}
    assert promised <= result.keys()
    assert "| knowing | 2 |" in (out / "table.md").read_text()
    assert open_image(out / "groups.png").std() > 5


def test_masks_of_another_group_are_wrong_though_they_are_objects(split, tmp_path: Path) -> None:
    system = KnowingSystem(split, more=[(ALONE, 0.5)])
    result = run_groups(split, system, tmp_path / "out")
    # for the group of four it is wrong; for the one alone it is a second mask of the same object
    assert (result["returned"], result["precision"], result["recall"]) == (7, pytest.approx(5 / 7), 1)


def test_nothing_under_the_click(split, tmp_path: Path) -> None:
    result = run_groups(split, KnowingSystem(split, lambda annotation, mask: None), tmp_path / "out")
    assert (result["precision"], result["recall"], result["ap"], result["ar"]) == (None, 0, 0, 0)


def test_masks_on_crowd_siblings_count_neither_way(tmp_path: Path) -> None:
    crowd = box_mask(100, 100, 60, 60)
    photo = [object_of(mask, group_id=1) for mask in FOUR] + [object_of(crowd, group_id=1, iscrowd=1)]
    split = write_objects(tmp_path / "split", [photo])
    inside, outside = box_mask(110, 110, 10, 10), box_mask(155, 155, 12, 12)
    system = KnowingSystem(split, more=[(inside, 0.5), (outside, 0.5)])
    result = run_groups(split, system, tmp_path / "out")
    # the crowd's own mask and the one inside are left out; the one that lies mostly outside is wrong
    assert (result["siblings"], result["returned"]) == (4, 5)
    assert result["recall"] == 1


def test_objects_without_a_group_are_counted_and_not_clicked(tmp_path: Path) -> None:
    photo = [object_of(FOUR[0], group_id=1), object_of(FOUR[1], group_id=1), object_of(ALONE)]
    split = write_objects(tmp_path / "split", [photo])
    assert run_groups(split, KnowingSystem(split), tmp_path / "out")["n"] == 1
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["objects_without_group"] == 1


def test_the_seed_chooses_the_clicked_sibling(split) -> None:
    truth = read_truth(split, split.images[0], Report())
    scene = KnowingSystem(split).encode(split.open_image(split.images[0]))
    records = [click_groups(scene, truth, jitter=0.0, seed=seed) for seed in range(12)]
    assert {record["groups"][0]["target"] for record in records} == {1, 2, 3, 4}
    assert records == [click_groups(scene, truth, jitter=0.0, seed=seed) for seed in range(12)]


def test_running_again_computes_nothing_again(split, tmp_path: Path) -> None:
    system = KnowingSystem(split, three_of_four)
    first = run_groups(split, system, tmp_path / "out")
    assert run_groups(split, system, tmp_path / "out") == first
    assert system.encoded == 1


def test_a_split_without_groups_is_refused(tmp_path: Path) -> None:
    split = write_objects(tmp_path / "split", [[object_of(ALONE)]])
    with pytest.raises(InputError, match="group_id"):
        run_groups(split, KnowingSystem(split), tmp_path / "out")


def test_a_system_without_groups_is_refused_at_once(tmp_path: Path) -> None:
    class SingleScene:
        height = width = 200

        def segment(self, clicks):
            return None

        def segment_each(self, clicks):
            return [None for _ in clicks]

    class Single(KnowingSystem):
        def encode(self, image):
            self.encoded += 1
            return SingleScene()

    split = write_objects(tmp_path / "split", [[object_of(ALONE, group_id=1)]] * 3)
    system = Single(split)
    with pytest.raises(InputError, match="select_similar"):
        run_groups(split, system, tmp_path / "out")
    assert system.encoded == 1
