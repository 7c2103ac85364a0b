"""Data sets that others wrote: the variants of each format, and what is wrong with a broken one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toolkit.data.formats import Format, detect_format, read_any
from toolkit.errors import InputError
from toolkit.report import Report


def photo(path: Path, width: int = 10, height: int = 20) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(path)


def label(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines))


def test_yolo_with_subsets_boxes_and_broken_lines(tmp_path: Path) -> None:
    for subset, name in (("train", "a"), ("train", "b"), ("val", "a")):
        photo(tmp_path / "images" / subset / f"{name}.jpg")
    label(
        tmp_path / "labels" / "train" / "a.txt",
        "1 0.1 0.1 0.5 0.1 0.5 0.4 0.1 0.4",
        "",
        "0 0.5 0.5 0.2 0.1",
        "0 0.1 0.2 0.3",
        "x 0.1 0.1 0.5 0.1 0.5 0.4",
        "0 0.1 0.1 1.5 0.1 0.5 0.4",
        "-1 0.1 0.1 0.5 0.1 0.5 0.4",
        "0 nan 0.1 0.5 0.1 0.5 0.4",
    )
    label(tmp_path / "labels" / "val" / "a.txt", "2 0 0 1 0 1 1 0 1")
    (tmp_path / "data.yaml").write_text(
        "path: .\ntrain: images/train\nval: [images/val]\nnames: {0: zero, 1: one}\n"
    )
    report = Report()
    split = read_any(tmp_path, report)
    assert [record.file_name for record in split] == [
        "train/a.jpg",
        "train/b.jpg",
        "val/a.jpg",
    ]
    polygon, box = split.annotations_of(1)
    assert polygon.segmentation == [[1, 2, 5, 2, 5, 8, 1, 8]]
    assert polygon.category_id == 2
    assert box.segmentation == [[4, 9, 6, 9, 6, 11, 4, 11]]  # centre (5, 10), 2 × 2 pixels
    assert split.annotations_of(2) == []
    assert split.annotations_of(3)[0].mask(20, 10).all()
    assert [category["name"] for category in split.categories] == ["zero", "one", "class 2"]
    assert [item for item, _ in report.skipped] == [f"train/a.jpg: label line {n}" for n in (4, 5, 6, 7, 8)]
    assert split.open_image(split.images[0]).shape == (20, 10, 3)


def test_yolo_with_a_list_of_images_and_a_list_of_names(tmp_path: Path) -> None:
    photo(tmp_path / "images" / "a.png")
    photo(tmp_path / "images" / "b.png")
    label(tmp_path / "labels" / "b.txt", "0 0 0 1 0 1 1")
    (tmp_path / "train.txt").write_text("images/b.png\n")
    (tmp_path / "data.yaml").write_text("train: train.txt\nval:\nnames: [only]\n")
    split = read_any(tmp_path / "data.yaml", Report())
    assert [record.file_name for record in split] == ["b.png"]
    assert split.category_names == {1: "only"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: 5\ntrain: images", "names"),
        ("- a", "expected keys"),
        ("{", "not valid YAML"),
        ("train: nowhere\nnames: []", "no images found"),
    ],
)
def test_a_broken_data_yaml_is_refused(tmp_path: Path, text: str, message: str) -> None:
    photo(tmp_path / "images" / "a.png")
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_any(tmp_path, Report())


def test_an_imagefolder_of_the_datasets_guide(tmp_path: Path) -> None:
    photo(tmp_path / "0001.png", 30, 40)
    rows = [
        {
            "file_name": "0001.png",
            "objects": {"bbox": [[1, 2, 3, 4], [5, 6, 7, 8.5], "?"], "categories": [4, 9, 4]},
        },
        {"file_name": "missing.png", "objects": {"bbox": [], "categories": []}},
        {"text": "no name"},
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    report = Report()
    split = read_any(tmp_path, report)
    assert [(record.file_name, record.width, record.height) for record in split] == [("0001.png", 30, 40)]
    first, second = split.annotations_of(1)
    assert first.mask(40, 30).sum() == 12
    assert second.segmentation == [[5, 6, 12, 6, 12, 14.5, 5, 14.5]]
    assert split.category_names == {1: "4", 2: "9"}
    assert [item for item, _ in report.skipped] == [
        "0001.png: an object",
        "missing.png",
        "metadata.jsonl row 2",
        "masks of 2 objects",
    ]


def test_an_imagefolder_with_a_folder_per_subset_and_objects_as_records(tmp_path: Path) -> None:
    for subset in ("train", "test"):
        photo(tmp_path / subset / "x.jpg")
        row = {"file_name": "x.jpg", "objects": [{"bbox": [0, 0, 2, 2], "category": subset}]}
        (tmp_path / subset / "metadata.jsonl").write_text(json.dumps(row))
    split = read_any(tmp_path, Report())
    assert [record.file_name for record in split] == ["test/x.jpg", "train/x.jpg"]
    assert split.category_names == {1: "test", 2: "train"}


def test_a_broken_metadata_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metadata.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match=r"metadata\.parquet"):
        read_any(tmp_path, Report())
    (tmp_path / "metadata.parquet").unlink()
    (tmp_path / "metadata.jsonl").write_text("{")
    with pytest.raises(InputError, match=r"metadata\.jsonl"):
        read_any(tmp_path, Report())


def voc(folder: Path, kind: str, values: np.ndarray, name: str = "x.png") -> None:
    (folder / kind).mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(folder / kind / name)


def test_pascal_voc_without_a_list_of_classes(tmp_path: Path) -> None:
    photo(tmp_path / "JPEGImages" / "x.jpg", 4, 3)
    objects = np.array([[1, 1, 255, 2], [1, 255, 2, 2], [0, 0, 3, 3]])
    classes = np.array([[15, 15, 255, 7], [15, 255, 7, 9], [0, 0, 255, 0]])
    voc(tmp_path, "SegmentationObject", objects)
    voc(tmp_path, "SegmentationClass", classes)
    voc(tmp_path, "SegmentationObject", objects, "no-photo.png")
    report = Report()
    split = read_any(tmp_path, report)
    first, second = split.annotations_of(1)
    np.testing.assert_array_equal(first.mask(3, 4), objects == 1)
    np.testing.assert_array_equal(second.mask(3, 4), objects == 2)
    assert (first.category_id, second.category_id) == (15, 7)  # 7 has two of the three pixels
    assert split.category_names[15] == "class 15"
    assert [item for item, _ in report.skipped] == ["no-photo", "x: object 3"]


def test_class_pngs_alone_give_one_annotation_per_class(tmp_path: Path) -> None:
    photo(tmp_path / "JPEGImages" / "x.jpg", 3, 2)
    photo(tmp_path / "JPEGImages" / "y.jpg", 5, 5)
    classes = np.array([[2, 0, 2], [1, 255, 2]])
    voc(tmp_path, "SegmentationClass", classes)
    voc(tmp_path, "SegmentationClass", classes, "y.png")
    (tmp_path / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:1,2,3::\ndog\n"
    )
    report = Report()
    split = read_any(tmp_path, report)
    assert split.category_names == {1: "cat", 2: "dog"}
    assert [a.category_id for a in split.annotations_of(1)] == [1, 2]
    np.testing.assert_array_equal(split.annotations_of(1)[1].mask(2, 3), classes == 2)
    reasons = dict(report.skipped)
    assert "3 × 2, its photo 5 × 5" in reasons["y"]
    assert "all pixels of a class" in reasons["2 annotations"]


def test_formats_are_told_apart(tmp_path: Path) -> None:
    assert detect_format_of(tmp_path / "coco", "annotations.json") is Format.coco
    assert detect_format_of(tmp_path / "roboflow", "_annotations.coco.json") is Format.coco
    assert detect_format_of(tmp_path / "yolo", "data.yaml") is Format.yolo
    assert detect_format_of(tmp_path / "bare-yolo", "labels/a.txt", "images/a.jpg") is Format.yolo
    assert detect_format_of(tmp_path / "hf", "train/metadata.parquet") is Format.imagefolder
    assert detect_format_of(tmp_path / "voc", "SegmentationClass/a.png") is Format.index_png
    with pytest.raises(InputError, match="not recognised"):
        detect_format_of(tmp_path / "other", "a.jpg")
    with pytest.raises(InputError, match="no such file"):
        detect_format(tmp_path / "nothing")


def detect_format_of(folder: Path, *names: str) -> Format:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return detect_format(folder)
