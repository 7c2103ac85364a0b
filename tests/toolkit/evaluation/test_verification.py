from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.systems import KnowingScene, KnowingSystem, box_mask, object_of, write_objects
from toolkit.errors import InputError
from toolkit.evaluation.verification import pairs_of, run_verification
from toolkit.image import open_image

BOXES = [box_mask(40 * i, 0, 20, 20) for i in range(4)]
# objects 0 and 1 are siblings; 2 is another; 3 is not found
ALIKE = np.array(
    [[1, 0.9, 0.2, np.nan], [0.4, 1, 0.7, np.nan], [0.1, 0.3, 1, np.nan], [np.nan, np.nan, np.nan, np.nan]]
)


class ComparingSystem(KnowingSystem):
    def encode(self, image):
        return _Comparing(self, image.shape[:2], super().encode(image).objects)


class _Comparing(KnowingScene):
    alike = ALIKE

    def similarities(self, clicks):
        places = [int(click.x // 40) for click in clicks]
        return self.alike[np.ix_(places, places)]


@pytest.fixture
def split(tmp_path: Path):
    groups = [1, 1, 2, 3]
    photo = [object_of(mask, group_id=group) for mask, group in zip(BOXES, groups, strict=True)]
    ungrouped = object_of(box_mask(0, 100, 9, 9))
    return write_objects(tmp_path / "split", [[*photo, ungrouped], [object_of(BOXES[0], group_id=1)]])


def test_a_protocol_by_hand(split, tmp_path: Path) -> None:
    out = tmp_path / "out"
    system = ComparingSystem(split)
    result = run_verification(split, system, out)
    assert json.loads((out / "result.json").read_text()) == result
    # positive 0.9, 0.4; negative 0.2, 0.7, 0.1, 0.3
    assert (result["n"], result["positives"], result["images"], result["missed"]) == (6, 2, 1, 1)
    assert result["auc_roc"] == pytest.approx(7 / 8)  # of 8 (positive, negative), only (0.4, 0.7) is wrong
    assert result["auc_pr"] == pytest.approx((1 + 2 / 3) / 2)
    assert (result["precision"], result["recall"], result["false_positive_rate"]) == (0.5, 0.5, 0.25)
    assert result["accuracy"] == pytest.approx((0.5 + 0.75) / 2)
    assert "| knowing | 6 | 87.5 | 83.3 | 62.5 | 50.0 | 50.0 | 25.0 |" in (out / "table.md").read_text()
    assert open_image(out / "verification.png").std() > 5
    assert run_verification(split, system, out) == result
    assert system.encoded == 1


def test_pairs_of_one_photo() -> None:
    record = {"groups": [1, 1, 2], "missed": 0, "alike": [[1, 0.9, 0.2], [0.8, 1, None], [0.1, 0.3, 1]]}
    scores, same = pairs_of(record)
    assert scores.tolist() == [0.9, 0.2, 0.8, 0.1, 0.3]
    assert same.tolist() == [True, False, True, False, False]
    assert len(pairs_of({"groups": [], "missed": 3, "alike": []})[0]) == 0


def test_at_most_so_many_objects(split, tmp_path: Path) -> None:
    sizes = set()
    for seed in range(8):
        result = run_verification(split, ComparingSystem(split), tmp_path / "out", most=2, seed=seed)
        assert result["n"] <= 2
        sizes.add((result["positives"], result["missed"]))
    assert len(sizes) > 1


def test_only_one_kind_of_pair(split, tmp_path: Path) -> None:
    siblings = write_objects(tmp_path / "two", [[object_of(mask, group_id=1) for mask in BOXES[:2]]])
    result = run_verification(siblings, ComparingSystem(siblings), tmp_path / "out")
    assert (result["auc_roc"], result["accuracy"], result["false_positive_rate"]) == (None, None, None)
    assert (result["auc_pr"], result["recall"]) == (1, 0.5)


def test_what_cannot_be_measured(split, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="similarities"):
        run_verification(split, KnowingSystem(split), tmp_path / "out")
    with pytest.raises(InputError, match="at least 2"):
        run_verification(split, ComparingSystem(split), tmp_path / "out", most=1)
