from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.helpers.systems import box_mask, object_of, write_objects
from toolkit.cli import run
from toolkit.data.overlap import near_copies, signature, without_near_copies
from toolkit.errors import InputError
from toolkit.split import read_split


def scene(seed: int, height: int = 120, width: int = 160) -> np.ndarray:
    """Coarse coloured blotches, as photos have them."""
    coarse = np.random.default_rng(seed).integers(0, 255, (5, 7, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def split(tmp_path: Path):
    """Three photos."""
    split = write_objects(tmp_path / "split", [[object_of(box_mask(5, 5, 20, 20))]] * 3)
    for place, record in enumerate(split):
        Image.fromarray(scene(10 + place, 200, 200)).save(split.image_path(record))
    return split


def paths_of(split) -> list[Path]:
    return [split.image_path(record) for record in split]


def folder_of(path: Path, images: dict[str, np.ndarray]) -> Path:
    path.mkdir(parents=True)
    for name, image in images.items():
        Image.fromarray(image).save(path / name, quality=70)
    return path


def test_signatures_are_correlations() -> None:
    image, other = scene(0), scene(1)
    assert signature(image) @ signature(image) == pytest.approx(1)
    assert signature(image) @ signature(255 - image) == pytest.approx(-1, abs=1e-3)
    assert abs(signature(image) @ signature(other)) < 0.5
    flat = signature(np.full((40, 40, 3), 90, np.uint8))
    assert not flat.any()


@given(st.integers(0, 1000), st.floats(0.3, 2.0), st.integers(30, 95), st.floats(0.6, 1.0))
def test_size_compression_and_exposure_hide_no_copy(seed, scale, quality, contrast) -> None:
    image = scene(seed)
    size = (round(160 * scale), round(120 * scale))
    copy = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    copy = (copy * contrast + 20).clip(0, 255).astype(np.uint8)
    copy = cv2.imdecode(cv2.imencode(".jpg", copy, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    assert signature(image) @ signature(copy) > 0.95


def test_copies_are_found_wherever_they_lie(split, tmp_path: Path) -> None:
    second = split.open_image(split.images[1])
    small = cv2.resize(second, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    other = folder_of(tmp_path / "other" / "images" / "deep", {"a.png": scene(3), "b.png": small})
    found = near_copies(paths_of(split), tmp_path / "other")
    assert [(copy.place, copy.other) for copy in found] == [(1, other / "b.png")]
    assert found[0].similarity == pytest.approx(1, abs=0.01)
    kept, left_out = without_near_copies(split, tmp_path / "other")
    assert [record.file_name for record in kept] == ["photo0.png", "photo2.png"]
    assert len(kept.annotations) == 2
    assert left_out == found


def test_a_thing_pasted_into_a_known_scene_makes_no_new_one(split, tmp_path: Path) -> None:
    photo = split.open_image(split.images[0]).copy()
    photo[40:72, 50:82] = 250  # 2.6 % of it
    folder_of(tmp_path / "other", {"changed.png": photo})
    assert [copy.place for copy in near_copies(paths_of(split), tmp_path / "other")] == [0]
    assert near_copies(paths_of(split), tmp_path / "other", least=0.9999) == []


def test_what_cannot_be_opened_is_listed(split, tmp_path: Path) -> None:
    other = folder_of(tmp_path / "other", {"a.png": scene(3)})
    (other / "b.png").write_bytes(b"no image")
    faults: list = []
    assert near_copies(paths_of(split), other, faults=faults) == []
    assert [path.name for path, _ in faults] == ["b.png"]


def test_refusals(split, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="expected a folder with images"):
        near_copies(paths_of(split), tmp_path / "empty")
    with pytest.raises(InputError, match="nothing is left"):
        without_near_copies(split, split.root)


def test_the_command_names_the_pairs(split, tmp_path: Path, capsys) -> None:
    folder_of(tmp_path / "other", {"a.png": scene(3), "b.png": split.open_image(split.images[2])})
    arguments = [str(split.root), str(tmp_path / "other"), "--out", str(tmp_path / "out")]
    assert run(["data", "overlap", *arguments]) == 0
    text = capsys.readouterr().out
    assert "photo2.png" in text
    assert "1 of 3" in text
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [row["photo"] for row in report["near_copies"]] == ["photo2.png"]
    assert report["near_copies"][0]["other"].endswith("b.png")


def test_the_command_takes_folders_of_photos(split, tmp_path: Path, capsys) -> None:
    folder_of(tmp_path / "other", {"a.png": scene(3), "b.png": split.open_image(split.images[2])})
    arguments = [str(split.root / "images"), str(tmp_path / "other"), "--out", str(tmp_path / "out")]
    assert run(["data", "overlap", *arguments]) == 0
    assert "1 of 3 photos" in capsys.readouterr().out
    (tmp_path / "empty").mkdir()
    assert run(["data", "overlap", str(tmp_path / "empty"), str(tmp_path / "other")]) == 2
    assert "expected a split or a folder with images" in capsys.readouterr().err


def test_an_evaluation_leaves_them_out(split, tmp_path: Path, capsys) -> None:
    from toolkit.evaluation.options import read_measured

    folder_of(tmp_path / "other", {"b.png": split.open_image(split.images[2])})
    kept = read_measured(split.root, None, tmp_path / "other", tmp_path / "out")
    assert [record.file_name for record in kept] == ["photo0.png", "photo1.png"]
    assert "1 of 3 photos" in capsys.readouterr().err
    listed = json.loads((tmp_path / "out" / "left_out.json").read_text())
    assert [row["photo"] for row in listed["near_copies"]] == ["photo2.png"]
    assert len(read_measured(split.root, None, None, tmp_path / "out")) == len(read_split(split.root))
    assert not (tmp_path / "out" / "left_out.json").exists()  # the next result is of all photos
