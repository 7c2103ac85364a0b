from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.helpers.networks import random_one_click, save_selector
from tests.helpers.splits import write_small_split
from tests.helpers.systems import KnowingSystem, box_mask, object_of, write_objects
from toolkit.errors import InputError
from toolkit.evaluation.commands import app
from toolkit.evaluation.compare import CompareSettings, run_compare
from toolkit.evaluation.compare_command import labelled
from toolkit.image import open_image


@pytest.fixture
def split(tmp_path: Path):
    """Two small siblings in the first photo, a medium object in the second."""
    first = [object_of(box_mask(x, 0, 20, 20), group_id=1) for x in (0, 100)]
    return write_objects(tmp_path / "split", [first, [object_of(box_mask(50, 50, 40, 60))]])


def half_of_the_medium(annotation, mask):
    return (mask if mask.sum() == 400 else mask & box_mask(50, 50, 40, 30)), 0.9


class Breaking(KnowingSystem):
    """Fails on every photo."""

    name = "breaking"

    def encode(self, image: np.ndarray):
        raise RuntimeError("no")


def test_figures_of_two_systems_by_hand(split, tmp_path: Path) -> None:
    out = tmp_path / "out"
    systems = {"whole": KnowingSystem(split), "half": KnowingSystem(split, half_of_the_medium)}
    result = run_compare(split, systems, out)
    assert json.loads((out / "result.json").read_text()) == result
    assert (result["systems"], result["labels"]) == (2, "whole, half")
    assert (result["whole_miou"], result["whole_noc_90"], result["whole_nof_90"]) == (1, 1, 0)
    assert result["half_miou"] == result["half_miou_1"] == pytest.approx(2.5 / 3)
    assert (result["half_noc_85"], result["half_nof_85"]) == (pytest.approx(22 / 3), 1)
    assert result["half_noc_95"] == pytest.approx(22 / 3)
    # one by one both siblings take a click; at once there is one sibling left besides the exemplar
    assert (result["half_one_collective_noc_85"], result["half_one_collective_n"]) == (1, 2)
    assert (result["half_all_additional_noc_85"], result["half_all_additional_n"]) == (1, 1)
    assert result["half_flops_first"] is None
    # the second click on the medium object took time, too: it was made 20 times in vain
    assert result["half_time_90"] >= result["half_mean_time_90"] > 0
    own = json.loads((out / "half" / "result.json").read_text())
    assert {f"half_{key}": value for key, value in own.items()}.items() <= result.items()
    table = (out / "table.md").read_text()
    assert "|  | whole | half |" in table
    assert "| NoC@85 | 1.00 | 7.33 |" in table
    assert "| siblings one by one: additional NoC@85 | 1.00 | 1.00 |" in table
    assert "GFLOPs, first" not in table  # nobody has a figure for it
    assert open_image(out / "compare.png").std() > 5


def test_it_runs_again_where_it_stopped(split, tmp_path: Path) -> None:
    system = KnowingSystem(split)
    first = run_compare(split, {"whole": system}, tmp_path / "out")
    encoded = system.encoded
    assert run_compare(split, {"whole": system}, tmp_path / "out") == first
    assert system.encoded == encoded


def test_the_effort_is_measured_on_the_photos_that_were_drawn(tmp_path: Path) -> None:
    pairs = [[object_of(box_mask(x, y, 20, 20), group_id=1) for x in (0, 100)] for y in (0, 40, 80, 120)]
    alone = [[object_of(box_mask(50, 50, 20, 20))] for _ in range(4)]
    data = write_objects(tmp_path / "split", [*pairs, *alone])
    settings = CompareSettings(limit=3, seed=1, most=2)
    result = run_compare(data, {"a": KnowingSystem(data)}, tmp_path / "out", settings)
    drawn = result["a_n"] - result["a_images"]  # a photo with a pair has one object more
    assert 0 < drawn < 3
    assert result["a_all_additional_n"] == result["a_one_additional_n"] == drawn


def test_what_was_left_out_is_listed_once(split, tmp_path: Path) -> None:
    out = tmp_path / "out"
    systems = {"broken": Breaking(split), "whole": KnowingSystem(split)}
    (split.root / "images" / "photo1.png").unlink()
    assert run_compare(split, systems, out)["labels"] == "whole"
    report = json.loads((out / "report.json").read_text())
    items = [entry["item"] for entry in report["skipped"]]
    assert items == ["system broken", "photo1.png"]
    assert "failed on every photo" in report["skipped"][0]["reason"]
    with pytest.raises(InputError, match="no system could be measured"):
        run_compare(split, {"broken": systems["broken"]}, out)


def test_two_real_systems_from_the_terminal(tmp_path: Path) -> None:
    from models.loading import load_system

    split = write_small_split(tmp_path / "split", images=2, scale=4)
    save_selector(tmp_path / "eager")
    random_one_click(seed=1).save_pretrained(tmp_path / "random" / "final")
    out = tmp_path / "out"
    arguments = [
        "compare", str(split), "--systems", f"{tmp_path / 'eager'},{tmp_path / 'random' / 'final'}",
        "--out", str(out), "--clicks", "3",
    ]  # fmt: skip
    run = CliRunner().invoke(app, arguments, obj={"load_system": load_system})
    assert run.exit_code == 0, run.output
    result = json.loads((out / "result.json").read_text())
    assert result["labels"] == "eager, random"
    assert (result["eager_n"], result["random_n"]) == (8, 8)  # four objects but the crowd, twice
    assert result["eager_parameters"] == result["random_parameters"] > 10_000
    # the photo is encoded once; a later click costs less than the first
    assert result["eager_flops_first"] > result["eager_flops_later"] > 0
    assert 0 < result["eager_miou_1"] < 1
    assert "| parameters (M) | 0.0" in run.output
    assert str(out / "compare.png") in run.output


def test_labels() -> None:
    assert labelled("simpson, runs/emc/final,mine=a/b=c") == {
        "simpson": "simpson", "emc": "runs/emc/final", "mine": "a/b=c"
    }  # fmt: skip
    with pytest.raises(InputError, match="two are called final"):
        labelled("final,./final")
    with pytest.raises(InputError, match="commas"):
        labelled("simpson,,emc")
    with pytest.raises(InputError, match="no label"):
        labelled("a/b=simpson")
