"""The commands as a user types them: exit codes, sentences, and what lies in the folder afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.splits import write_small_split
from toolkit.cli import run
from toolkit.split import read_split


@pytest.fixture
def split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_small_split(tmp_path / "split")


def data(*arguments: str | Path) -> int:
    return run(["data", *map(str, arguments)])


def test_validate_a_sound_split(split: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert data("validate", split) == 0
    assert "3 images and 15 annotations are sound" in capsys.readouterr().out
    report = json.loads((tmp_path / "runs" / "validate-split" / "report.json").read_text())
    assert report["problems"] == 0


def test_validate_a_broken_split(split: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (split / "images" / "photo2.png").unlink()
    path = split / "annotations.json"
    tables = json.loads(path.read_text())
    tables["annotations"][0]["segmentation"]["counts"] = "0"
    del tables["annotations"][1]["id"]
    path.write_text(json.dumps(tables))
    assert data("validate", split, "--out", tmp_path / "out") == 2
    captured = capsys.readouterr()
    assert "missing image: image 3 (photo2.png)" in captured.out
    assert "bad RLE: annotation 1 (image 1, photo0.png)" in captured.out
    assert "malformed record: annotations[1]" in captured.out
    assert captured.err.count("\n") == 1
    assert "3 broken records" in captured.err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["counts"] == {"malformed record": 1, "missing image": 1, "bad RLE": 1}
    assert {record["record"] for record in report["records"]} == {
        "annotations[1]",
        "image 3 (photo2.png)",
        "annotation 1 (image 1, photo0.png)",
    }


def test_stats(split: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert data("stats", split, "--out", tmp_path / "out") == 0
    assert "annotations" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "result.json").read_text())["groups"] == 6


def test_convert_there_and_back(split: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert data("convert", split, "--to", "yolo", "--out", tmp_path / "yolo") == 0
    assert "listed in" in capsys.readouterr().out
    report = json.loads((tmp_path / "yolo" / "report.json").read_text())
    assert report["skipped_count"] == len(report["skipped"]) == 3 * 3 + 6
    assert data("convert", tmp_path / "yolo", "--out", tmp_path / "back", "--link") == 0
    back = read_split(tmp_path / "back")
    assert (len(back), len(back.annotations)) == (3, 12)
    assert data("validate", tmp_path / "back") == 0


def test_merge_split_and_browse(split: Path, tmp_path: Path) -> None:
    assert data("merge", split, split, "--out", tmp_path / "merged") == 0
    assert len(read_split(tmp_path / "merged")) == 6
    assert data("split", tmp_path / "merged", "--out", tmp_path / "parts", "--fractions", "a=0.5,b=0.5") == 0
    assert len(read_split(tmp_path / "parts" / "a")) == len(read_split(tmp_path / "parts" / "b")) == 3
    assert data("browse", tmp_path / "merged", "--out", tmp_path / "page", "--limit", 2) == 0
    assert (tmp_path / "page" / "index.html").read_text().count("<figure>") == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["validate", "nowhere"], "nowhere: cannot be read"),
        (["stats", "split/images"], "expected a split folder"),
        (
            ["convert", "split", "--to", "tiff", "--out", "x"],
            "use coco, lvis, yolo, imagefolder or index-png",
        ),
        (["convert", "nowhere", "--out", "x"], "no such file or folder"),
        (["convert", "split", "--out", "split"], "holds a finished split already"),
        (["convert", "split", "--images", "split", "--out", "x"], "none of the 3 images"),
        (["convert", "split/card.yaml/x", "--from", "coco", "--out", "x"], "cannot be read"),
        (["convert", "split", "--out", "split/card.yaml/x"], "cannot make this folder"),
        (["split", "split", "--out", "x", "--fractions", "a=0.5"], "sum 1"),
        (["split", "split", "--out", "x", "--fractions", "a"], "name=share"),
        (["split", "split", "--out", "x", "--fractions", "../a=1"], "name of a folder"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    split: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert data(*arguments) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err


def test_the_commands_are_listed_without_heavy_imports() -> None:
    code = "import sys, toolkit.data.commands; print(sorted(set(sys.modules) & set(sys.argv[1:])))"
    heavy = ["torch", "numpy", "pandas", "pyarrow", "matplotlib", "cv2", "scipy", "pycocotools", "msgspec"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.corpus
def test_the_photo_corpus_is_sound(corpus: Path, tmp_path: Path) -> None:
    assert data("validate", corpus / "photos" / "val", "--out", tmp_path) == 0
