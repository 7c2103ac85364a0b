"""Pre-labels offline: a folder or a split in, a split and Label Studio tasks out, resumable."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from annotation.decoding import region_to_mask
from annotation.prelabel import JOURNAL, prelabel
from tests.helpers.selection_system import GREEN, RED, ShapesSystem, shapes_photo
from tests.helpers.splits import write_small_split
from toolkit.errors import InputError
from toolkit.image import save_image
from toolkit.split import read_split

DISCS = [(40, 40, 15, RED), (120, 40, 15, RED), (40, 140, 20, GREEN)]


def run(system: ShapesSystem, *arguments: object) -> str:
    app = typer.Typer()
    app.command()(prelabel)
    result = CliRunner().invoke(
        app, [str(a) for a in arguments], obj={"load_system": lambda name: system}, catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.jpg", "deeper/c.png")):
        save_image(folder / name, shapes_photo(DISCS, seed=number), quality=95)
    (folder / "broken.jpg").write_bytes(b"no photo")
    (folder / "scan.tif").write_bytes(b"no photo for a page")
    (folder / "notes.txt").write_text("no photo at all")
    return folder


def test_a_folder_becomes_a_split_and_tasks(photos, tmp_path):
    out = tmp_path / "out"
    output = run(ShapesSystem(), photos, "--out", out)
    assert "9 masks on 4 photos" in output
    split = read_split(out)
    assert [record.file_name for record in split] == ["a.png", "b.jpg", "deeper/c.png"]
    for record in split:
        annotations = split.annotations_of(record.id)
        groups = [annotation.group_id for annotation in annotations]
        assert sorted(groups.count(group) for group in set(groups)) == [1, 2]
        assert all(annotation.extra["score"] == 0.8 for annotation in annotations)
    report = json.loads((out / "report.json").read_text())
    assert {entry["item"] for entry in report["skipped"]} == {"broken.jpg", "scan.tif"}
    tasks = json.loads((out / "tasks.json").read_text())
    assert [task["data"]["image"] for task in tasks] == [
        "/data/local-files/?d=photos/a.png",
        "/data/local-files/?d=photos/b.jpg",
        "/data/local-files/?d=photos/deeper/c.png",
    ]
    first = split.annotations_of(split.images[0].id)
    masks = [region_to_mask(region) for region in tasks[0]["predictions"][0]["result"]]
    assert all(np.array_equal(m, a.mask(240, 320)) for m, a in zip(masks, first, strict=True))
    assert not (out / JOURNAL).exists()


def test_a_stopped_run_goes_on(photos, tmp_path):
    out = tmp_path / "out"
    system = ShapesSystem()
    real = system.encode

    def stop_at_the_third(image):
        if system.calls.get("encode", 0) == 2:
            raise KeyboardInterrupt
        return real(image)

    system.encode = stop_at_the_third
    app = typer.Typer()
    app.command()(prelabel)
    CliRunner().invoke(app, [str(photos), "--out", str(out)], obj={"load_system": lambda name: system})
    assert not (out / "annotations.json").exists()
    with (out / JOURNAL).open("a") as journal:
        journal.write('{"photo": "half a li')  # as a kill would leave it
    second = ShapesSystem()
    run(second, photos, "--out", out)
    assert second.calls["encode"] == 1
    assert len(read_split(out)) == 3


def test_limits_are_kept_and_reported(photos, tmp_path):
    out = tmp_path / "out"
    run(ShapesSystem(), photos, "--out", out, "--max-regions", 2, "--min-pixels", 900)
    split = read_split(out)
    assert [len(split.annotations_of(record.id)) for record in split] == [
        1,
        1,
        1,
    ]  # the green disc alone is large
    run(ShapesSystem(), photos, "--out", tmp_path / "two", "--max-regions", 2)
    assert "beyond --max-regions" in (tmp_path / "two" / "report.json").read_text()


def test_a_split_keeps_licences_and_sources(tmp_path):
    source = write_small_split(tmp_path / "small")
    run(ShapesSystem(), source, "--out", tmp_path / "out")
    before, after = read_split(source), read_split(tmp_path / "out")
    assert [r.license for r in after] == [r.license for r in before]
    assert [r.source for r in after] == [r.source for r in before]


def test_bad_input_is_one_sentence(tmp_path, photos):
    with pytest.raises(InputError, match="there is no such folder"):
        run(ShapesSystem(), tmp_path / "nowhere", "--out", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no photos there"):
        run(ShapesSystem(), tmp_path / "empty", "--out", tmp_path / "out")
    run(ShapesSystem(), photos, "--out", tmp_path / "out")
    with pytest.raises(InputError, match="holds a finished split already"):
        run(ShapesSystem(), photos, "--out", tmp_path / "out")
