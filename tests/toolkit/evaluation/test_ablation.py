from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.helpers.systems import KnowingScene, KnowingSystem, box_mask, object_of, write_objects
from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.evaluation.ablation import run_ablation
from toolkit.evaluation.commands import app
from toolkit.evaluation.options import switched
from toolkit.image import open_image

FOUR = [box_mask(40 * i, 0, 20, 20) for i in range(4)]
WRONG = (box_mask(150, 150, 20, 20), 0.5)


class SwitchedSystem(KnowingSystem):
    """Finds all siblings with IDS, else the first two; adds a wrong mask without PVM."""

    def __init__(self, split, ids: bool = True, pvm: bool = True, size: str = "3 × 3") -> None:
        super().__init__(split, self._found, () if pvm else [WRONG])
        self.split, self.ids, self.pvm, self.size = split, ids, pvm, size
        self.fingerprint = f"{ids} {pvm} {size}"

    def _found(self, annotation, mask):
        return (mask, 0.9) if self.ids or mask.any(axis=0).argmax() < 80 else None

    @property
    def switches(self):
        cpn = {"L1 → L2 → L3": "1/4 → 1/8 → 1/16", "Mask (CPN)": True, "Query size": self.size}
        pvm = {"Scale": True, "Square": True, "Mask (PVM)": self.size == "3 × 3"}
        clicks = {"Backbone": self.size, "Click embedding": self.size != "blind"}
        return {**clicks, "IDS": self.ids, "PVM": self.pvm, **cpn, **pvm}

    def with_selection(self, iterate: bool = True, verify: bool = True):
        return SwitchedSystem(self.split, iterate, verify)

    def with_network(self, source: str):
        return SwitchedSystem(self.split, size=source)

    def without_clicks(self):
        return SwitchedSystem(self.split, ids=False, size=self.size)

    def encode(self, image):
        return _Scene(self, image.shape[:2], super().encode(image).objects)


class _Scene(KnowingScene):
    def propose_clicks(self, click, limit=100):
        places = [10, 50, 90, 130] if self.system.size == "3 × 3" else [10, 50]
        return [(Click(x, 10), 0.9) for x in places]

    def similarities(self, clicks):
        return np.ones((len(clicks), len(clicks)))


@pytest.fixture
def split(tmp_path: Path):
    return write_objects(tmp_path / "split", [[object_of(mask, group_id=1) for mask in FOUR]])


def test_table_3_by_hand(split, tmp_path: Path) -> None:
    out = tmp_path / "out"
    # the seed clicks one of the two that are found without IDS
    result = run_ablation("table3", split, SwitchedSystem(split), out)
    assert json.loads((out / "result.json").read_text()) == result
    rows = [[result[f"row{i}_{name}"] for name in ("IDS", "PVM", "ar", "ap")] for i in (1, 2, 3, 4)]
    half = 51 / 101  # recall 0.5 at precision 1
    assert rows == [
        [False, False, 0.5, pytest.approx(half)],
        [False, True, 0.5, pytest.approx(half)],
        [True, False, 1, pytest.approx(1)],  # the wrong mask has the lowest score
        [True, True, 1, pytest.approx(1)],
    ]
    precision = [json.loads((out / f / "groups" / "result.json").read_text())["precision"] for f in FOLDERS]
    assert precision == pytest.approx([2 / 3, 1, 4 / 5, 1])
    table = (out / "table.md").read_text()
    assert table.startswith("| IDS | PVM | AP | AP_S | AP_M | AP_L | AR |")
    assert "|  | ✓ | 50.5 | 50.5 | – | – | 50.0 |" in table
    assert open_image(out / "table3.png").std() > 5
    assert len(json.loads((out / "report.json").read_text())["rows"]) == 4


FOLDERS = ["no-ids-no-pvm", "no-ids-pvm", "ids-no-pvm", "ids-pvm"]


@pytest.mark.parametrize("name", ["table1", "table2"])
def test_tables_1_and_2_by_hand(split, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    result = run_ablation(name, split, SwitchedSystem(split), out, ["other"])
    rows = [[result[f"row{i}_{key}"] for key in ("Backbone", "Click embedding", "ap")] for i in (1, 2, 3, 4)]
    half = pytest.approx(51 / 101)  # two of four objects, at precision 1
    whole = pytest.approx(1)
    assert rows == [
        ["3 × 3", False, half],
        ["3 × 3", True, whole],
        ["other", False, half],
        ["other", True, whole],
    ]
    table = (out / "table.md").read_text()
    assert table.startswith("| Backbone | Click embedding | AP | AP_S | AP_M | AP_L |\n")
    assert "| 3 × 3 |  | 50.5 | 50.5 | – | – |" in table
    assert "| other | ✓ | 100.0 | 100.0 | – | – |" in table
    with pytest.raises(InputError, match="nothing to withhold"):
        run_ablation(name, split, SwitchedSystem(split), tmp_path / "blind", ["blind"])


def test_table_4_compares_trained_variants(split, tmp_path: Path) -> None:
    result = run_ablation("table4", split, SwitchedSystem(split), tmp_path / "out", ["5 × 5"])
    assert (result["rows"], result["row1_auc_pr"], result["row2_Query size"]) == (2, 1, "5 × 5")
    assert result["row2_auc_pr"] < 1
    assert "| 1/4 → 1/8 → 1/16 | ✓ | 3 × 3 | 100.0 |" in (tmp_path / "out" / "table.md").read_text()


def test_table_5_has_groups_and_pairs(split, tmp_path: Path) -> None:
    result = run_ablation("table5", split, SwitchedSystem(split), tmp_path / "out", ["other"])
    assert (result["row1_ap"], result["row1_auc_pr"], result["row1_auc_roc"]) == (pytest.approx(1), 1, None)
    assert (result["row1_Mask (PVM)"], result["row2_Mask (PVM)"]) == (True, False)


def test_what_cannot_be_switched(split, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="table1, table2, table3, table4, table5"):
        run_ablation("table9", split, SwitchedSystem(split), tmp_path / "out")
    with pytest.raises(InputError, match="--variant"):
        run_ablation("table3", split, SwitchedSystem(split), tmp_path / "out", ["folder"])
    with pytest.raises(InputError, match="nothing of this system"):
        run_ablation("table3", split, KnowingSystem(split), tmp_path / "out")
    with pytest.raises(InputError, match="--no-pvm"):
        switched(KnowingSystem(split), True, False)
    plain = KnowingSystem(split)
    assert switched(plain, True, True) is plain


def test_from_the_terminal(split, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["ablation", "table3", "--data", str(split.root), "--out", str(out)]
    loader = {"load_system": lambda name: SwitchedSystem(split)}
    done = CliRunner().invoke(app, arguments, obj=loader)
    assert done.exit_code == 0, done.output
    assert (out / "table.md").read_text() in done.output


@pytest.mark.parametrize("protocol", ["clicks", "proposals", "verification", "groups --no-ids --no-pvm"])
def test_other_protocols_from_the_terminal(split, tmp_path: Path, protocol: str) -> None:
    name, *more = protocol.split()
    out = tmp_path / "out"
    arguments = [name, str(split.root), "--out", str(out), *more]
    loader = {"load_system": lambda name: SwitchedSystem(split)}
    done = CliRunner().invoke(app, arguments, obj=loader)
    assert done.exit_code == 0, done.output
    result = json.loads((out / "result.json").read_text())
    assert result["n"] == {"clicks": 4, "proposals": 1, "verification": 12, "groups": 1}[name]
    if name == "groups":
        assert result["precision"] == pytest.approx(2 / 3)
