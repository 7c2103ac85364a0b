from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import pytest

from tests.helpers.systems import KnowingSystem, box_mask, object_of, write_objects
from toolkit.errors import InputError
from toolkit.evaluation.detection import run_detection
from toolkit.image import open_image

SMALL, MEDIUM = box_mask(0, 0, 10, 10), box_mask(40, 0, 40, 40)


def small_only(annotation, mask):
    return (mask, 0.9) if mask.sum() == 100 else None


@pytest.fixture
def split(tmp_path: Path):
    return write_objects(tmp_path / "split", [[object_of(SMALL), object_of(MEDIUM)]])


def test_side_by_side(split, tmp_path: Path) -> None:
    out = tmp_path / "out"
    own, baseline = KnowingSystem(split), KnowingSystem(split, small_only)
    baseline.name = "blind"
    result = run_detection(split, own, out, baseline)
    assert json.loads((out / "result.json").read_text()) == result
    assert (result["ap"], result["baseline_ap_small"]) == (pytest.approx(1), pytest.approx(1))
    # half of the objects, at precision 1: 51 of 101 points
    assert result["baseline_ap"] == pytest.approx(51 / 101)
    assert result["gain_ap"] == pytest.approx(50 / 101)
    assert (result["baseline_ap_medium"], result["gain_ap_large"]) == (0, None)
    table = (out / "table.md").read_text()
    assert "| blind |  | 50.5 | 100.0 | 0.0 | – | 50.0 |" in table
    assert "| knowing | ✓ | 100.0 | 100.0 | 100.0 | – | 100.0 |" in table
    assert open_image(out / "detection.png").std() > 5
    assert run_detection(split, own, out, baseline) == result
    assert own.encoded == baseline.encoded == 1


def test_without_a_baseline_the_clicks_are_withheld(split, tmp_path: Path) -> None:
    class Variable(KnowingSystem):
        switches: ClassVar = {"Backbone": "made of air", "Click embedding": True}

        def with_selection(self, **settings):
            raise NotImplementedError

        def with_network(self, source):
            raise NotImplementedError

        def without_clicks(self):
            other = Variable(split, small_only)
            other.fingerprint = "blind"
            return other

    result = run_detection(split, Variable(split), tmp_path / "out")
    assert result["baseline_ap"] == pytest.approx(51 / 101)
    table = (tmp_path / "out" / "table.md").read_text()
    assert "| made of air | ✓ |" in table
    assert "Without click embedding: knowing, clicks withheld." in table
    with pytest.raises(InputError, match="--baseline"):
        run_detection(split, KnowingSystem(split), tmp_path / "out")
