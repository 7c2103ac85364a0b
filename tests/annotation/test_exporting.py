"""Tasks to split without a server: groups, newest annotations, odd regions, names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from typer.testing import CliRunner

from annotation.commands import app
from annotation.exporting import export_tasks, name_of
from annotation.importing import local_address, split_label_config, split_tasks
from annotation.label_config import Control, Label, parse_label_config
from annotation.photo_sources import in_folders
from annotation.regions import Canvas, Drawing, region
from tests.helpers.splits import write_small_split
from toolkit.errors import InputError
from toolkit.image import save_image
from toolkit.masks import mask_to_rle
from toolkit.report import Report
from toolkit.split import Annotation, SplitWriter, read_split

HEIGHT, WIDTH = 20, 30
LABELS = (Label("Distractor", "all"), Label("Cone", "all"))
CONTROLS = {"bitmask": Control("mask", "BitmaskLabels", "image", LABELS)}


def square(x: int, y: int, side: int = 4) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[y : y + side, x : x + side] = True
    return mask


def drawn(mask: np.ndarray, name: str, *, group=None, parent=None, label="Distractor", **fields) -> dict:
    meta = {"declutter": {"group": group}} if group is not None else {}
    built = region(mask, CONTROLS, Canvas(WIDTH, HEIGHT, "image"), Drawing(label, 0.5, name, parent, meta))
    return {**built, **fields}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        save_image(folder / name, np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    return folder


def task(result: list, number: int = 1, name: str = "a.png", **fields) -> dict:
    return {
        "id": number,
        "data": {"image": f"/data/upload/1/0123abcd-{name}"},
        "annotations": [{"id": number, "result": result, "was_cancelled": False}],
        **fields,
    }


def export(tasks: list, photos: Path, out: Path, **options):
    report = export_tasks(tasks, out, in_folders([photos]), **options)
    return read_split(out), dict(report.skipped)


def test_groups_come_from_notes_then_from_the_tree(photos, tmp_path):
    result = [
        drawn(square(0, 0), "a", group="0f0f0f0f"),
        drawn(square(5, 0), "b", group="0f0f0f0f", parent="gone"),
        drawn(square(10, 0), "c", group=7),
        drawn(square(15, 0), "d", group="12345678"),  # a word of ours that happens to be digits
        drawn(square(0, 10), "head"),
        drawn(square(5, 10), "child", parent="head"),
        drawn(square(10, 10), "grandchild", parent="child"),
        drawn(square(15, 10), "alone"),
        drawn(square(20, 10), "round", parent="about"),
        drawn(square(25, 10), "about", parent="round"),  # a circle of parents, by hand
    ]
    split, skipped = export([task(result)], photos, tmp_path / "out")
    groups = [one.group_id for one in split.annotations_of(split.images[0].id)]
    assert skipped == {}
    assert groups[0] == groups[1]
    assert groups[2] == 7
    assert groups[4] == groups[5] == groups[6]
    assert groups[7] is None
    distinct = {groups[0], groups[2], groups[3], groups[4]}
    assert len(distinct) == 4
    assert None not in distinct


def test_labels_become_categories_and_scores_are_kept(photos, tmp_path):
    split, _ = export(
        [task([drawn(square(0, 0), "a"), drawn(square(9, 9), "b", label="Cone")])], photos, tmp_path / "o"
    )
    assert [category["name"] for category in split.categories] == ["Distractor", "Cone"]
    first, second = split.annotations_of(split.images[0].id)
    assert first.category_id != second.category_id
    assert first.extra["score"] == 0.5
    assert np.array_equal(first.mask(HEIGHT, WIDTH), square(0, 0))
    assert (first.area, tuple(first.bbox)) == (16, (0, 0, 4, 4))
    assert split.images[0].file_name == "a.png"
    assert split.images[0].extra["label_studio_task"] == 1


def test_the_newest_annotation_counts_and_skipped_work_does_not(photos, tmp_path):
    one = task([drawn(square(0, 0), "old")])
    one["annotations"] = [
        {"id": 1, "result": [drawn(square(0, 0), "old")], "updated_at": "2026-01-01T00:00:00Z"},
        {"id": 2, "result": [drawn(square(9, 0), "new")], "updated_at": "2026-02-01T00:00:00Z"},
        {
            "id": 3,
            "result": [drawn(square(0, 9), "no")],
            "updated_at": "2026-03-01T00:00:00Z",
            "was_cancelled": True,
        },
    ]
    split, skipped = export([one], photos, tmp_path / "out")
    (annotation,) = split.annotations
    assert np.array_equal(annotation.mask(HEIGHT, WIDTH), square(9, 0))
    assert skipped == {"task 1, annotation 1": "a newer annotation was taken"}


def test_what_is_left_out_is_listed(photos, tmp_path):
    point = {"id": "kp", "type": "keypointlabels", "value": {"x": 1, "y": 1, "keypointlabels": ["a"]}}
    point.update(original_width=WIDTH, original_height=HEIGHT)
    result = [
        drawn(square(0, 0), "good"),
        point,
        {"id": "ch", "type": "choices", "value": {"choices": ["blurred"]}},
        drawn(
            square(5, 5),
            "unlabelled",
            value={"imageDataURL": drawn(square(5, 5), "x")["value"]["imageDataURL"]},
        ),
        drawn(square(5, 5), "larger", original_width=99),
        drawn(np.zeros((HEIGHT, WIDTH), bool), "empty"),
    ]
    tasks = [
        task(result),
        task([], 2, "b.png"),
        task([drawn(square(0, 0), "x")], 3, "missing.png"),
        {"id": 4, "data": {"text": 5}, "annotations": [{"id": 9, "result": []}]},
        {"id": 5, "data": {"image": "x"}, "annotations": []},
    ]
    split, skipped = export(tasks, photos, tmp_path / "out")
    assert len(split.annotations) == 1
    assert len(split) == 2  # a photo that was looked at and found clean belongs to the split
    assert set(skipped) == {
        "task 1, region kp",
        "task 1, region unlabelled",
        "task 1, region larger",
        "task 1, region empty",
        "task 3",
        "task 4",
        "task 5",
    }
    assert skipped["task 5"] == "nobody has annotated it"
    assert "missing.png is in none of the folders" in skipped["task 3"]
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (written["tasks"], written["images"], written["annotations"], written["skipped_count"]) == (
        5,
        2,
        1,
        7,
    )


def test_photos_of_one_name_stay_apart(photos, tmp_path):
    split, _ = export([task([], 1), task([], 2), task([], 3)], photos, tmp_path / "out")
    assert [record.file_name for record in split] == ["a.png", "a-2.png", "a-3.png"]


def test_nothing_at_all_is_an_error_and_no_split(photos, tmp_path):
    with pytest.raises(InputError, match="nothing to export: nobody has annotated it"):
        export([{"id": 5, "data": {"image": "x"}, "annotations": []}], photos, tmp_path / "out")
    assert not (tmp_path / "out" / "annotations.json").exists()


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/upload/1/0123abcd-my%20photo.jpg", "my photo.jpg"),
        ("/data/local-files/?d=photos/deep/a.png", "a.png"),
        ("https://cdn.example/x/y.jpg?sig=1", "y.jpg"),
        ("s3://bucket/key/z.jpg", "z.jpg"),
        ("/data/local-files/?d=..", "photo"),
        ("http://cdn.example/", "photo"),
        ("C:\\photos\\a.jpg", "a.jpg"),
    ],
)
def test_names_of_photos(address, name):
    assert name_of(address) == name


MASKS = arrays.arrays(bool, (HEIGHT, WIDTH)).filter(lambda mask: mask.any())


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.tuples(MASKS, st.none() | st.integers(0, 5)), min_size=1, max_size=4))
def test_any_split_comes_back(tmp_path_factory, objects):
    root = tmp_path_factory.mktemp("split")
    with SplitWriter(root / "in", categories=[{"id": 4, "name": "Distractor"}]) as writer:
        annotations = [
            Annotation(category_id=4, segmentation=mask_to_rle(mask), group_id=group, extra={"note": "kept"})
            for mask, group in objects
        ]
        writer.add_image(
            np.full((HEIGHT, WIDTH, 3), 90, np.uint8), annotations, file_name="deep/a.png", city="Bonn"
        )
    split = read_split(root / "in")
    config = parse_label_config(split_label_config(split))
    report = Report()
    tasks = list(split_tasks(split, config, local_address("x"), report, as_annotations=True))
    assert report.skipped == ()
    export_tasks(tasks, root / "out", in_folders([split.images_dir]))
    back = read_split(root / "out")
    assert (root / "out" / "annotations.json").read_bytes() == (root / "in" / "annotations.json").read_bytes()
    assert back.images[0].extra == {"city": "Bonn"}


def test_import_labels_reads_exports_and_webhook_folders(tmp_path):
    split = read_split(write_small_split(tmp_path / "small"))
    config = parse_label_config(split_label_config(split))
    tasks = list(split_tasks(split, config, local_address("x"), Report(), as_annotations=True))
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    arguments = ["import-labels", str(tmp_path / "export.json"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, "--photos", str(split.images_dir)], catch_exceptions=False)
    assert result.exit_code == 0
    assert f"3 photos, {len(split.annotations)} annotations of 3 tasks; 0 left out" in result.output
    with pytest.raises(InputError, match="holds a finished split already"):
        CliRunner().invoke(app, [*arguments, "--photos", str(split.images_dir)], catch_exceptions=False)
    folder = tmp_path / "webhook" / "1"
    folder.mkdir(parents=True)
    for number, one in enumerate(tasks):
        (folder / f"{number}.json").write_text(json.dumps({**one, "id": number}))
    arguments = ["import-labels", str(folder.parent), "--out", str(tmp_path / "again")]
    result = CliRunner().invoke(app, [*arguments, "--photos", str(split.images_dir)], catch_exceptions=False)
    assert len(read_split(tmp_path / "again").annotations) == len(split.annotations)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"images": []}', "[[]]", '[{"id": 1}]'])
def test_files_that_are_no_exports_are_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=r"x\.json"):
        CliRunner().invoke(
            app,
            ["import-labels", str(tmp_path / "x.json"), "--out", str(tmp_path / "o")],
            catch_exceptions=False,
        )


def test_export_without_a_server_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("DECLUTTER_STUDIO_DATA", str(tmp_path))
    with pytest.raises(InputError, match="no Label Studio is known here"):
        CliRunner().invoke(
            app, ["export", "--out", str(tmp_path / "o"), "--project", "1"], catch_exceptions=False
        )
    arguments = ["export", "--out", str(tmp_path / "o"), "--project", "1", "--url", "http://127.0.0.1:9"]
    with pytest.raises(InputError, match="does not answer"):
        CliRunner().invoke(app, [*arguments, "--api-key", "k"], catch_exceptions=False)
