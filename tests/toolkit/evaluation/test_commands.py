from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.helpers.systems import KnowingSystem, box_mask, object_of, write_objects
from toolkit.errors import InputError
from toolkit.evaluation.commands import app


@pytest.fixture
def split(tmp_path: Path):
    return write_objects(tmp_path / "split", [[object_of(box_mask(5, 5, 20, 20), group_id=1)]] * 2)


@pytest.mark.parametrize("protocol", ["one-click", "groups"])
def test_a_protocol_from_the_terminal(split, tmp_path: Path, protocol: str) -> None:
    asked = []

    def load_system(name: str | None) -> KnowingSystem:
        asked.append(name)
        return KnowingSystem(split)

    out = tmp_path / "out"
    arguments = [
        protocol,
        str(split.root),
        "--out",
        str(out),
        "--system",
        "mine",
        "--limit",
        "1",
        "--seed",
        "3",
    ]
    result = CliRunner().invoke(app, arguments, obj={"load_system": load_system})
    assert result.exit_code == 0, result.output
    assert asked == ["mine"]
    assert json.loads((out / "result.json").read_text())["n"] == 1
    assert "ap 1.000" in result.output
    assert str(out / "report.json") in result.output


def test_a_missing_split_is_named(tmp_path: Path) -> None:
    arguments = ["one-click", str(tmp_path / "absent"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments, obj={"load_system": lambda name: None})
    assert isinstance(result.exception, InputError)
    assert "absent" in str(result.exception)


def test_without_a_loader_no_system_is_found(split, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["groups", str(split.root), "--out", str(tmp_path / "out")])
    assert isinstance(result.exception, InputError)


@pytest.mark.parametrize("protocol", ["one-click", "groups", "clicks"])
def test_photos_that_were_learned_from_are_left_out(split, tmp_path: Path, protocol: str) -> None:
    known = tmp_path / "known"
    known.mkdir()
    shutil.copy(split.image_path(split.images[1]), known)
    out = tmp_path / "out"
    arguments = [protocol, str(split.root), "--out", str(out), "--unseen-by", str(known)]
    result = CliRunner().invoke(app, arguments, obj={"load_system": lambda name: KnowingSystem(split)})
    assert result.exit_code == 0, result.output
    assert json.loads((out / "result.json").read_text())["n"] == 1
    listed = json.loads((out / "left_out.json").read_text())
    assert [row["photo"] for row in listed["near_copies"]] == [split.images[1].file_name]
