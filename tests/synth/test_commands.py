"""`declutter synth` as a user types it."""

import json

import cv2
import numpy as np
import pytest

from synth.regions.noted import note_extractor, unmapped_labels
from tests.helpers.mask2former import write_tiny_mask2former
from tests.helpers.scenes import write_donors, write_photos
from toolkit.cli import run
from toolkit.errors import InputError
from toolkit.image import open_image
from toolkit.split import read_split


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("sources")
    return str(write_photos(root / "photos")), str(write_donors(root / "donors"))


def build(sources, out, *more):
    return run(["synth", "build", "--photos", sources[0], "--donors", sources[1], "--out", str(out), *more])


def test_build_makes_a_sound_split_with_a_preview(sources, tmp_path, capsys):
    out = tmp_path / "split"
    assert (
        build(sources, out, "--count", "3", "--preview", "--seed", "4", "--set", "placement.coverage=0.03")
        == 0
    )
    assert "3 images" in capsys.readouterr().out
    split = read_split(out)
    assert len(split) == 3
    assert split.card["seed"] == 4
    assert split.card["settings"]["placement"]["coverage"] == 0.03
    assert open_image(out / "preview.jpg").shape[1] > 600
    assert json.loads((out / "report.json").read_text())["made"] == 3
    assert run(["data", "validate", str(out), "--out", str(tmp_path / "validated")]) == 0
    # run again: nothing to do
    assert build(sources, out, "--count", "3", "--seed", "4", "--set", "placement.coverage=0.03") == 0


def test_the_preset_s_figures_stand_beside_ours(sources, tmp_path):
    out = tmp_path / "split"
    assert build(sources, out, "--preset", "paper-val", "--count", "2") == 0
    report = json.loads((out / "report.json").read_text())
    published = report["published"]
    assert "pasted_per_image" in published.pop("remark")
    assert published == {"photos": 531, "images": 1188, "instances": 10980}
    assert list(report["blends"]) == ["feather"]
    pasted = [a for a in read_split(out).annotations if a.origin["kind"] == "pasted"]
    assert report["pasted_per_image"] == len(pasted) / 2
    assert {(a.origin["scale"], a.origin["angle"], a.origin["flip"]) for a in pasted} == {(1.0, 0.0, False)}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--preset", "paper-test"], "paper-test"),
        (["--set", "placement.coverage=9"], "placement.coverage"),
        (["--settings", "/no/such/file.yaml"], "/no/such/file.yaml"),
        (["--donors", "/no/such/donors"], "/no/such/donors"),
        (["--photos", "/no/such/photos"], "/no/such/photos"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(sources, tmp_path, capsys, more, message):
    assert build(sources, tmp_path / "split", "--count", "2", *more) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "split" / "annotations.json").exists()


def test_another_build_in_the_same_folder_is_refused(sources, tmp_path, capsys):
    assert build(sources, tmp_path / "split", "--count", "2") == 0
    assert build(sources, tmp_path / "split", "--count", "2", "--seed", "1") == 2
    assert "seed 0, not 1" in capsys.readouterr().err


def test_photos_without_regions_get_them_first(sources, tmp_path):
    photos = write_photos(tmp_path / "photos", count=2, regions=False)
    model = write_tiny_mask2former(tmp_path / "model", ("road", "blob", "wall-brick", "floor"))
    out = tmp_path / "split"
    more = [
        "--count",
        "2",
        "--model",
        str(model),
        "--device",
        "cpu",
        "--set",
        "objects.area_ratio=[0.0001, 0.5]",
    ]
    assert build((str(photos), sources[1]), out, *more) == 0
    assert sorted(path.name for path in (photos / "regions").glob("*.png")) == ["photo0.png", "photo1.png"]
    assert len(read_split(out)) == 2
    report = json.loads((out / "report.json").read_text())
    assert (report["region_extractors"], report["unmapped_labels"]) == ([str(model)], ["blob"])
    # another build, for which all maps are made: it still says what they do not know
    again = tmp_path / "again"
    assert build((str(photos), sources[1]), again, *more) == 0
    assert json.loads((again / "report.json").read_text())["unmapped_labels"] == ["blob"]


def test_given_regions_come_from_no_extractor(sources, tmp_path):
    assert build(sources, tmp_path / "split", "--count", "1") == 0
    assert "unmapped_labels" not in json.loads((tmp_path / "split" / "report.json").read_text())


def test_a_damaged_note_of_the_extractors_is_named(tmp_path):
    note_extractor(tmp_path, "one", {"road": "ground", "blob": "unknown"}, ["blob"])
    note_extractor(tmp_path, "another", {"foam": "unknown", "blob": "unknown"}, ["foam", "blob"])
    assert unmapped_labels(tmp_path) == ["blob", "foam"]
    (tmp_path / "extractors.json").write_text("[")
    with pytest.raises(InputError, match=r"extractors\.json"):
        unmapped_labels(tmp_path)


def test_without_regions_and_without_a_model_the_build_says_what_is_missing(
    sources, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("synth.regions.extractor.bundled_folder", lambda: tmp_path)
    photos = write_photos(tmp_path / "photos", count=2, regions=False)
    assert build((str(photos), sources[1]), tmp_path / "split", "--count", "2") == 2
    assert "--model" in capsys.readouterr().err


def test_preview_shows_every_step(sources, tmp_path, capsys):
    out = tmp_path / "steps.png"
    arguments = ["synth", "preview", "--photos", sources[0], "--donors", sources[1], "--out", str(out)]
    assert run([*arguments, "--index", "1", "--count", "4", "--steps", "5"]) == 0
    assert "copies" in capsys.readouterr().out
    sheet = open_image(out)
    # nine panels in three rows: photo, regions, five steps, result, instances
    white = (sheet == 255).all(axis=(1, 2)).astype(np.uint8)
    assert sheet.shape[1] > 4 * 300
    assert cv2.connectedComponents((1 - white)[:, None])[0] - 1 >= 3
    assert run([*arguments, "--index", "4", "--count", "4"]) == 2
    assert "numbered from 0" in capsys.readouterr().err


def test_ray_without_ray_says_which_extra(sources, tmp_path, capsys, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    assert build(sources, tmp_path / "split", "--count", "2", "--ray", "auto") == 2
    assert "declutter[ray]" in capsys.readouterr().err


def test_a_read_only_split_is_left_alone(sources, tmp_path, capsys):
    photos = write_photos(tmp_path / "photos", count=2, regions=False)
    model = write_tiny_mask2former(tmp_path / "model", ("road", "wall", "wall-brick", "floor"))
    photos.chmod(0o555)
    try:
        assert run(["synth", "regions", str(photos), "--model", str(model), "--device", "cpu"]) == 2
        assert "--out" in capsys.readouterr().err
        more = [
            "--count",
            "2",
            "--model",
            str(model),
            "--device",
            "cpu",
            "--set",
            "objects.area_ratio=[1e-4, 0.5]",
        ]
        assert build((str(photos), sources[1]), tmp_path / "split", *more) == 0
        assert sorted(path.name for path in photos.iterdir()) == ["annotations.json", "card.yaml", "images"]
    finally:
        photos.chmod(0o755)
