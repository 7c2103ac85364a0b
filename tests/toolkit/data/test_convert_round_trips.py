"""Every format, written and read again: exact where it can be, and where it cannot, the report says so."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.helpers.masks import masks as arbitrary_masks
from tests.helpers.splits import HEIGHT, WIDTH, content, disjoint_masks, write_small_split
from toolkit import masks
from toolkit.data.formats import Format, detect_format, read_any, write_any
from toolkit.report import Report
from toolkit.split import Annotation, ImageRecord, Split, SplitWriter, read_split

WRITABLE = [form for form in Format if form is not Format.coco_panoptic]

few = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])

names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=8
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(-1e6, 1e6), names),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(names, inner, max_size=2)),
    max_leaves=4,
)
# Any name that a record does not have already, also those of the arguments that a writer may take.
known = set(ImageRecord.__dataclass_fields__) | set(Annotation.__dataclass_fields__) | {"coco_url"}
extra_names = st.sampled_from(["image", "annotations", "self", "record", "counts"]) | names
extras = st.dictionaries(extra_names.filter(lambda name: name not in known), json_values, max_size=2)


def write(
    root: Path,
    annotations: list[Annotation],
    height: int,
    width: int,
    fields: Mapping[str, Any] | None = None,
    licence: str | int | None = None,
) -> Split:
    """Write a split of one photo with categories 1 and 2; `fields` are of its record."""
    fields = fields or {}
    categories = [{"id": 1, "name": "one"}, {"id": 2, "name": "two: 2"}]
    with SplitWriter(root, categories=categories) as writer:
        image = np.full((height, width, 3), 90, np.uint8)
        source = "here" if fields else None
        record = ImageRecord(1, "photo.png", width, height, licence, source, extra=fields)
        writer.add_record(record, image, annotations)
    return read_split(root)


def there_and_back(split: Split, form: Format, folder: Path) -> tuple[Split, Report]:
    report = Report()
    write_any(split, folder / "out", report, form)
    assert detect_format(folder / "out") in (form, Format.coco)
    return read_any(folder / "out", report), report


def masks_of(split: Split) -> list[np.ndarray]:
    return [a.mask(r.height, r.width) for r in split for a in split.annotations_of(r.id)]


@st.composite
def annotations(draw: st.DrawFn, height: int, width: int) -> Annotation:
    coordinate = st.floats(0, max(height, width)).map(lambda value: round(value, 2))
    bits = st.lists(st.booleans(), min_size=height * width, max_size=height * width)
    rle = bits.map(lambda values: masks.mask_to_rle(np.array(values).reshape(height, width)))
    polygon = st.lists(coordinate, min_size=6, max_size=12).filter(lambda values: len(values) % 2 == 0)
    segmentation = draw(st.one_of(rle, st.lists(polygon, min_size=1, max_size=2)))
    box = draw(st.tuples(coordinate, coordinate, coordinate, coordinate))
    return Annotation(
        category_id=draw(st.integers(1, 2)),
        segmentation=segmentation,
        bbox=box,
        area=draw(st.integers(0, 999) | st.floats(0, 999)),
        iscrowd=draw(st.integers(0, 1)),
        group_id=draw(st.none() | st.integers(0, 9)),
        origin=draw(st.none() | st.dictionaries(names, json_values, max_size=2)),
        extra=draw(extras),
    )


@few
@given(st.lists(annotations(4, 5), max_size=4), extras, st.none() | names | st.integers(0, 9))
@pytest.mark.parametrize("form", [Format.coco, Format.imagefolder])
def test_coco_and_imagefolder_hold_everything(
    form: Format, items: list[Annotation], fields: dict, licence: str | int | None
) -> None:
    with tempfile.TemporaryDirectory() as name:
        split = write(Path(name) / "in", items, 4, 5, fields, licence)
        again, report = there_and_back(split, form, Path(name))
        assert content(again) == content(split)
        assert not report.skipped


@few
@given(st.lists(annotations(4, 5), max_size=4), extras)
def test_lvis_holds_everything_but_crowds(items: list[Annotation], fields: dict) -> None:
    with tempfile.TemporaryDirectory() as name:
        split = write(Path(name) / "in", items, 4, 5, fields)
        again, report = there_and_back(split, Format.lvis, Path(name))
        assert list(again.annotations) == [a for a in split.annotations if not a.iscrowd]
        federated = {"neg_category_ids": [], "not_exhaustive_category_ids": []}
        assert again.images[0].extra == {**federated, **split.images[0].extra}
        assert len(report.skipped) == sum(a.iscrowd for a in items)


@few
@given(disjoint_masks(6, 7), st.lists(st.integers(1, 2), min_size=4, max_size=4))
def test_index_pngs_hold_every_set_of_masks_that_do_not_overlap(
    drawn: list[np.ndarray], classes: list[int]
) -> None:
    items = [
        Annotation(category_id=index, segmentation=masks.mask_to_rle(mask))
        for mask, index in zip(drawn, classes, strict=True)
    ]
    with tempfile.TemporaryDirectory() as name:
        split = write(Path(name) / "in", items, 6, 7)
        again, report = there_and_back(split, Format.index_png, Path(name))
    kept = [(mask, index) for mask, index in zip(drawn, classes, strict=True) if mask.any()]
    assert [a.category_id for a in again.annotations] == [index for _, index in kept]
    for (expected, _), found in zip(kept, masks_of(again), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert again.category_names == {1: "one", 2: "two: 2"}
    assert len(report.skipped) == len(drawn) - len(kept)


@few
@given(arbitrary_masks(), st.integers(1, 2))
def test_yolo_holds_every_mask_but_its_holes(mask: np.ndarray, category_id: int) -> None:
    height, width = mask.shape
    filled = np.zeros_like(mask)
    polygons = masks.mask_to_polygons(mask)
    for polygon in polygons:
        filled |= masks.polygons_to_mask(type(polygon)(polygon.exterior), height, width)
    with tempfile.TemporaryDirectory() as name:
        item = Annotation(category_id=category_id, segmentation=masks.mask_to_rle(mask))
        again, report = there_and_back(
            write(Path(name) / "in", [item], height, width), Format.yolo, Path(name)
        )
    reasons = " ".join(reason for _, reason in report.skipped)
    if not mask.any():
        assert "empty" in reasons
        assert not len(again.annotations)
        return
    (found,) = masks_of(again)
    # An outline inside a hole of another piece of the same object cannot be told from a hole.
    if not any(polygon.interiors for polygon in polygons):
        np.testing.assert_array_equal(found, mask)
    assert ("holes filled" in reasons) == any(polygon.interiors for polygon in polygons)
    assert ("pieces joined" in reasons) == (len(polygons) > 1)
    if len(polygons) == 1:
        np.testing.assert_array_equal(found, filled)
    assert again.annotations[0].category_id == category_id
    assert again.category_names == {1: "one", 2: "two: 2"}


@few
@given(arbitrary_masks(max_side=40), st.floats(0.1, 1.5))
def test_simplified_outlines_stay_close(mask: np.ndarray, tolerance: float) -> None:
    height, width = mask.shape
    polygons = masks.mask_to_polygons(mask)
    assume(len(polygons) == 1 and not polygons[0].interiors)
    with tempfile.TemporaryDirectory() as name:
        item = Annotation(category_id=1, segmentation=masks.mask_to_rle(mask))
        split = write(Path(name) / "in", [item], height, width)
        write_any(split, Path(name) / "out", report := Report(), Format.yolo, tolerance=tolerance)
        again = read_any(Path(name) / "out", report)
    (found,) = masks_of(again)
    # Only pixels within the tolerance of the outline, and half a pixel's diagonal, can change.
    changed = int((found != mask).sum())
    assert changed <= polygons[0].length * (2 * tolerance + 1.5) + 4


def test_the_small_split_survives_each_format_as_far_as_it_goes(tmp_path: Path) -> None:
    split = read_split(write_small_split(tmp_path / "in"))
    expected = masks_of(split)
    for form in WRITABLE:
        again, report = there_and_back(split, form, tmp_path / form.value)
        assert [record.file_name.rpartition("/")[2] for record in again] == [
            f"photo{i}.png" for i in range(3)
        ]
        for record in again:
            assert again.open_image(record).shape == (HEIGHT, WIDTH, 3)
        kept = expected
        reasons = [reason for _, reason in report.skipped]
        if form not in (Format.coco, Format.imagefolder):
            kept = [mask for index, mask in enumerate(expected) if index % 5 != 4]
            assert sum("crowd" in reason for reason in reasons) == 3
        found = masks_of(again)
        assert len(found) == len(kept)
        for index, (one, other) in enumerate(zip(found, kept, strict=True)):
            if form is Format.yolo and index % 4 == 1:  # the ring, whose hole is filled
                assert one[14, 40]
                assert not other[14, 40]
            else:
                np.testing.assert_array_equal(one, other)
    assert any("dropped from 12 records" in reason for reason in reasons)  # group_id, in the last format


def test_what_yolo_loses_is_listed(tmp_path: Path) -> None:
    split = read_split(write_small_split(tmp_path / "in", images=1))
    report = Report()
    write_any(split, tmp_path / "out", report, Format.yolo)
    assert set(report.skipped) == {
        ("photo0.png: annotation 2", "holes filled (1): YOLO has none"),
        (
            "photo0.png: annotation 4",
            "pieces joined by bridges of no width (2): YOLO has one polygon per object",
        ),
        ("photo0.png: annotation 5", "left out: YOLO has no crowds"),
        ("annotations.group_id", "YOLO has no such field; dropped from 4 records"),
        ("annotations.origin", "YOLO has no such field; dropped from 1 records"),
        ("annotations.score", "YOLO has no such field; dropped from 1 records"),
        ("images.date_captured", "YOLO has no such field; dropped from 1 records"),
        ("images.license", "YOLO has no such field; dropped from 1 records"),
        ("images.source", "YOLO has no such field; dropped from 1 records"),
    }


def test_clashing_label_files_are_kept_apart(tmp_path: Path, rng: np.random.Generator) -> None:
    square = Annotation(category_id=1, segmentation=[[1, 1, 5, 1, 5, 5, 1, 5]])
    with SplitWriter(tmp_path / "in", categories=[{"id": 1, "name": "one"}]) as writer:
        for name in ("a.png", "a.jpg", "A.bmp", "sub/a.png"):
            writer.add_image(np.zeros((8, 9, 3), np.uint8), [square], file_name=name)
    split = read_split(tmp_path / "in")
    for form in (Format.yolo, Format.index_png):
        again, report = there_and_back(split, form, tmp_path / form.value)
        assert len(again) == 4
        assert all(len(again.annotations_of(record.id)) == 1 for record in again)
        assert len(report.skipped) == 2


def test_missing_photos_are_left_out_and_listed(tmp_path: Path) -> None:
    for form in WRITABLE:
        split = read_split(write_small_split(tmp_path / form.value / "in"))
        split.image_path(split.images[1]).unlink()
        again, report = there_and_back(split, form, tmp_path / form.value)
        assert len(again) == 2
        assert "photo1.png" in [item for item, _ in report.skipped]


def test_overlapping_masks_in_index_pngs_are_counted(tmp_path: Path) -> None:
    large, small = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    large[:, :6] = True
    small[2:4, 2:5] = True
    items = [Annotation(category_id=1, segmentation=masks.mask_to_rle(mask)) for mask in (small, large)]
    split = write(tmp_path / "in", items, 8, 8)
    again, report = there_and_back(split, Format.index_png, tmp_path)
    assert report.skipped == (("photo.png: annotation 2", "6 of 48 pixels covered by other objects"),)
    found = masks_of(again)
    np.testing.assert_array_equal(found[0], small)
    np.testing.assert_array_equal(found[1], large & ~small)


def test_index_pngs_have_the_palette_of_pascal_voc(tmp_path: Path) -> None:
    split = read_split(write_small_split(tmp_path / "in", images=1))
    write_any(split, tmp_path / "out", Report(), Format.index_png)
    with Image.open(tmp_path / "out" / "SegmentationClass" / "photo0.png") as png:
        assert png.mode == "P"
        palette = np.array(png.getpalette()).reshape(-1, 3)
    # The first colours of the VOC devkit's colour map: aeroplane, bicycle, bird; and void.
    assert palette[[1, 2, 3, 255]].tolist() == [[128, 0, 0], [0, 128, 0], [128, 128, 0], [224, 224, 192]]
    lines = (tmp_path / "out" / "labelmap.txt").read_text().splitlines()
    assert lines == ["background:0,0,0::", "disc:128,0,0::", "square:0,128,0::"]


def test_memory_splits_convert_too(tmp_path: Path, rng: np.random.Generator) -> None:
    Image.fromarray(rng.integers(0, 255, (5, 6, 3)).astype(np.uint8)).save(tmp_path / "x.png")
    square = Annotation(1, 1, 1, segmentation=[[0, 0, 2, 0, 2, 2, 0, 2]])
    split = Split(
        tmp_path,
        [ImageRecord(1, "x.png", 6, 5)],
        [square],
        categories=[{"id": 1, "name": "a"}],
        images_dir=tmp_path,
    )
    again, _ = there_and_back(split, Format.coco, tmp_path)
    assert again.annotations[0].segmentation == square.segmentation
    assert again.annotations[0].area == 4
