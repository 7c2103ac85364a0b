from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.helpers.splits import write_small_split
from toolkit.data.validate import Problem, validate
from toolkit.split import read_split
from toolkit.split.reading import Malformed

Table = dict[str, list[dict[str, Any]]]


def problems_after(root: Path, change: Callable[[Table], None], *, decode: bool = True) -> list[Problem]:
    """Write the small split to `root`, change its JSON, and validate it."""
    write_small_split(root, images=2)
    path = root / "annotations.json"
    tables = json.loads(path.read_text())
    change(tables)
    path.write_text(json.dumps(tables))
    malformed: list[Malformed] = []
    return validate(read_split(root, malformed=malformed), malformed, decode=decode, workers=2)


def test_a_sound_split_has_no_problems(tmp_path: Path) -> None:
    assert problems_after(tmp_path / "s", lambda tables: None) == []


def set_field(table: str, index: int, name: str, value: Any) -> Callable[[Table], None]:
    return lambda tables: tables[table][index].__setitem__(name, value)


def rle(counts: Any, size: tuple[int, int] = (60, 80)) -> dict[str, Any]:
    return {"size": list(size), "counts": counts}


@pytest.mark.parametrize(
    ("change", "kind", "record", "detail"),
    [
        (set_field("images", 0, "file_name", "gone.png"), "missing image", "image 1 (gone.png)", "no file"),
        (set_field("images", 0, "file_name", "../x.png"), "unreadable image", "image 1 (../x.png)", "below"),
        (set_field("images", 0, "file_name", "photo1.png"), "duplicate file name", "image 2", "image 1 has"),
        (
            set_field("images", 1, "regions", "no.png"),
            "missing image",
            "image 2 (photo1.png)",
            "map of regions",
        ),
        (set_field("annotations", 3, "id", 1), "duplicate id", "annotation 1", "2 records"),
        (set_field("annotations", 3, "image_id", 77), "unknown image", "annotation 4", "image_id 77"),
        (set_field("annotations", 3, "category_id", 5), "unknown category", "annotation 4", "category_id 5"),
        (set_field("annotations", 3, "image_id", None), "malformed record", "annotations[3]", "image_id"),
        (set_field("annotations", 3, "segmentation", []), "empty mask", "annotation 4", "no segmentation"),
        (set_field("annotations", 3, "segmentation", rle([4800])), "empty mask", "annotation 4", "no pixel"),
        (
            set_field("annotations", 3, "segmentation", [[5, 5, 5, 5, 5, 5]]),
            "empty mask",
            "annotation 4",
            "no pixel",
        ),
        (set_field("annotations", 3, "segmentation", rle([10, 10])), "bad RLE", "annotation 4", "20"),
        (set_field("annotations", 3, "segmentation", rle("abc\u00e9")), "bad RLE", "annotation 4", ""),
        (set_field("annotations", 3, "segmentation", rle("")), "bad RLE", "annotation 4", ""),
        (set_field("annotations", 3, "segmentation", rle(None)), "bad RLE", "annotation 4", ""),
        (
            set_field("annotations", 3, "segmentation", rle([2400, 2400], (80, 60))),
            "size mismatch",
            "annotation 4",
            "[80, 60]",
        ),
        (
            set_field("annotations", 3, "segmentation", [[1, 1, 2, 2]]),
            "bad polygon",
            "annotation 4",
            "4 numbers",
        ),
        (
            set_field("annotations", 3, "segmentation", [[1, 1, 2, 2, 3, 3, 4]]),
            "bad polygon",
            "annotation 4",
            "7 numbers",
        ),
        (set_field("annotations", 3, "segmentation", ["x"]), "bad polygon", "annotation 4", "not a list"),
        (set_field("annotations", 3, "segmentation", 7), "bad polygon", "annotation 4", "int"),
        (
            set_field("annotations", 3, "segmentation", [[70, 50, 90, 50, 90, 55]]),
            "mask outside the image",
            "annotation 4",
            "x 70…90, y 50…55 in an image of 80 × 60",
        ),
    ],
)
def test_each_fault_is_named_once(
    tmp_path: Path, change: Callable[[Table], None], kind: str, record: str, detail: str
) -> None:
    (problem,) = problems_after(tmp_path / "s", change)
    assert problem.kind == kind
    assert problem.record.startswith(record)
    assert detail in problem.detail


def test_a_polygon_may_reach_the_border_and_a_pixel_beyond(tmp_path: Path) -> None:
    outline = [[-0.5, 0, 81, 0, 81, 60.9, 0, 60]]
    assert problems_after(tmp_path / "s", set_field("annotations", 0, "segmentation", outline)) == []


def test_a_truncated_photo_is_found_by_decoding_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def damage(tables: Table) -> None:
        path = tmp_path / "s" / "images" / "photo0.png"
        Image.fromarray(rng.integers(0, 255, (60, 80, 3)).astype(np.uint8)).save(path)
        path.write_bytes(path.read_bytes()[:3000])

    (problem,) = problems_after(tmp_path / "s", damage)
    assert (problem.kind, problem.record) == ("unreadable image", "image 1 (photo0.png)")


def test_headers_alone_let_a_truncated_photo_pass(tmp_path: Path) -> None:
    def damage(tables: Table) -> None:
        path = tmp_path / "s" / "images" / "photo0.png"
        path.write_bytes(path.read_bytes()[:-2000])

    assert problems_after(tmp_path / "s", damage, decode=False) == []


def test_a_photo_of_another_size_and_one_that_exif_turns(tmp_path: Path) -> None:
    def swap(tables: Table) -> None:
        images = tmp_path / "s" / "images"
        Image.new("RGB", (40, 30)).save(images / "photo0.png")
        exif = Image.Exif()
        exif[274] = 6
        Image.new("RGB", (80, 60)).save(images / "photo1.png", exif=exif)

    other, turned = problems_after(tmp_path / "s", swap)
    assert (other.kind, turned.kind) == ("size mismatch", "size mismatch")
    assert "the file is 40 × 30, the record says 80 × 60" in other.detail
    assert "EXIF" not in other.detail
    assert "EXIF" in turned.detail


def test_regions_of_another_size(tmp_path: Path) -> None:
    def add(tables: Table) -> None:
        Image.new("L", (8, 6)).save(tmp_path / "s" / "images" / "r.png")
        tables["images"][0]["regions"] = "r.png"

    (problem,) = problems_after(tmp_path / "s", add)
    assert (problem.kind, problem.detail) == ("size mismatch", "its map of regions is 8 × 6")
