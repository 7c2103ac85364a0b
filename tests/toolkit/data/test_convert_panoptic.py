"""COCO panoptic data sets become splits: every segment a mask, pixel for pixel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from toolkit.cli import run
from toolkit.data.convert_panoptic import read_panoptic, segment_ids
from toolkit.data.formats import Format, detect_format, read_any, write_any
from toolkit.errors import InputError
from toolkit.report import Report
from toolkit.split import read_split

CATEGORIES = [{"id": 1, "name": "cone", "isthing": 1}, {"id": 7, "name": "sky", "isthing": 0}]


def write_panoptic(
    root: Path, maps: list[np.ndarray], infos: list[list[dict[str, Any]]], photos: str = "val2017"
) -> Path:
    """As COCO is published: annotations/panoptic_val2017.json, its folder of PNGs, val2017/*.jpg."""
    path = root / "annotations" / "panoptic_val2017.json"
    path.with_suffix("").mkdir(parents=True)
    (root / photos).mkdir()
    images, annotations = [], []
    for number, (ids, segments) in enumerate(zip(maps, infos, strict=True), start=1):
        height, width = ids.shape
        pixels = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=2).astype(np.uint8)
        Image.fromarray(pixels).save(path.with_suffix("") / f"{number:03}.png")
        Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(root / photos / f"{number:03}.jpg")
        images.append({"id": number, "file_name": f"{number:03}.jpg", "width": width, "height": height})
        annotations.append({"image_id": number, "file_name": f"{number:03}.png", "segments_info": segments})
    table = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    path.write_text(json.dumps(table))
    return path


def info(segment: int, category: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": segment, "category_id": category, "iscrowd": 0, **more}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    ids=st.lists(st.integers(1, 2**24 - 1), min_size=1, max_size=5, unique=True),
)
def test_every_segment_comes_back(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: tuple[int, int], ids: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    drawn = rng.choice([0, *ids], size)
    present = [segment for segment in ids if (drawn == segment).any()]
    segments = [info(segment, 1 if segment % 2 else 7, iscrowd=segment % 2) for segment in present]
    path = write_panoptic(tmp_path_factory.mktemp("panoptic"), [drawn], [segments])
    report = Report()
    split = read_any(path, report)
    assert report.skipped == ()
    for segment, annotation in zip(present, split.annotations_of(1), strict=True):
        assert np.array_equal(annotation.mask(*size), drawn == segment)
        assert annotation.category_id == (1 if segment % 2 else 7)
        assert annotation.iscrowd == segment % 2
        assert annotation.group_id is None
    assert split.categories == CATEGORIES
    assert split.open_image(split.images[0]).shape == (*size, 3)


def test_ids_of_pixels() -> None:
    assert segment_ids(np.array([[[1, 2, 3], [255, 255, 255]]], np.uint8)).tolist() == [[197121, 2**24 - 1]]


def test_what_disagrees_is_listed(tmp_path: Path) -> None:
    first, second = np.full((4, 6), 5), np.full((4, 6), 8)
    first[0, 0] = 9
    path = write_panoptic(tmp_path, [first, second, second], [[info(5), info(6)], [info(8)], [info(8)]])
    Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(path.with_suffix("") / "002.png")
    table = json.loads(path.read_text())
    table["images"].append({"id": 9, "file_name": "9.jpg", "width": 2, "height": 2})
    path.write_text(json.dumps(table))
    (path.with_suffix("") / "003.png").unlink()
    report = Report()
    split = read_panoptic(path, report)
    assert [record.file_name for record in split.images] == ["001.jpg"]
    assert split.annotations_of(1)[0].mask(4, 6).sum() == 23
    listed = dict(report.skipped)
    assert listed["001.jpg: segment 6"] == "not a pixel in 001.png"
    assert listed["001.jpg: segment 9"] == "not in segments_info"
    assert listed["002.jpg"] == "002.png is 5 × 5, its image 6 × 4"
    assert "003.png" in listed["003.jpg"]
    assert listed["9.jpg"] == "no annotation names this image"


def test_the_command_makes_a_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = np.zeros((6, 8), int)
    ids[1:3, 1:5], ids[4:, :] = 300, 70000
    path = write_panoptic(tmp_path, [ids], [[info(300), info(70000, 7)]])
    assert detect_format(path) is Format.coco_panoptic
    assert run(["data", "convert", str(path), "--out", str(tmp_path / "split")]) == 0
    split = read_split(tmp_path / "split")
    assert [(a.category_id, a.area, tuple(a.bbox or ())) for a in split.annotations_of(1)] == [
        (1, 8, (1, 1, 4, 2)),
        (7, 16, (0, 4, 8, 2)),
    ]
    assert run(["data", "convert", str(tmp_path / "split"), "--to", "coco-panoptic", "--out", "x"]) == 2
    assert "read only" in capsys.readouterr().err


def test_what_is_no_panoptic_json(tmp_path: Path) -> None:
    path = write_panoptic(tmp_path, [], [])
    path.write_text(
        json.dumps({"images": [], "annotations": [{"image_id": 1, "bbox": []}], "categories": []})
    )
    with pytest.raises(InputError, match=r"expected COCO panoptic JSON .*segments_info or file_name"):
        read_any(path, Report(), Format.coco_panoptic)
    path.write_text("[")
    with pytest.raises(InputError, match="expected COCO panoptic JSON"):
        read_any(path, Report(), Format.coco_panoptic)
    assert detect_format(path) is not Format.coco_panoptic  # no PNGs
    with pytest.raises(InputError, match="read only"):
        write_any(read_split_of_nothing(tmp_path), tmp_path / "out", Report(), Format.coco_panoptic)


def read_split_of_nothing(root: Path) -> Any:
    from toolkit.split import Split

    return Split(root, [], [], categories=CATEGORIES)
