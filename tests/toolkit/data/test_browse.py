from __future__ import annotations

import base64
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.helpers.splits import photo, rectangle, write_small_split
from toolkit.data.browse import browse, group_colours, outline_path
from toolkit.errors import InputError
from toolkit.image import open_image
from toolkit.report import Report
from toolkit.split import Annotation, SplitWriter, read_split


def test_the_page_holds_every_photo_and_mask(tmp_path: Path) -> None:
    split = read_split(write_small_split(tmp_path / "s"))
    report = Report()
    browse(split, tmp_path / "page.html", report, side=40)
    text = (tmp_path / "page.html").read_text()
    photos = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    assert [open_image(base64.b64decode(data)).shape for data in photos] == [(30, 40, 3)] * 3
    assert "http" not in text.replace("http-equiv", "")  # nothing is fetched
    svg = ElementTree.fromstring(re.findall(r"<svg.*?</svg>", text)[0])
    assert svg.attrib["viewBox"] == "0 0 40 30"
    colours = {path.findtext("title"): path.attrib["style"] for path in svg.iter("path")}
    assert set(colours) == {
        "disc · id 1 · group 1",
        "disc · id 2 · group 1 · pasted",
        "square · id 3 · group 2",
        "square · id 4 · group 2",
        "square · id 5 · crowd",
    }
    assert colours["disc · id 1 · group 1"] == colours["disc · id 2 · group 1 · pasted"]
    assert colours["square · id 3 · group 2"] == colours["square · id 4 · group 2"]
    assert len(set(colours.values())) == 3
    assert not report.skipped


def test_outlines_are_scaled_and_keep_their_holes() -> None:
    mask = np.zeros((20, 40), bool)
    mask[4:12, 10:30] = True
    mask[6:8, 14:18] = False
    path = outline_path(mask, 20, 10)
    rings = [np.array(re.findall(r"([\d.]+) ([\d.]+)", ring), float) for ring in path.split("Z") if ring]
    assert len(rings) == 2
    assert rings[0].min(0).tolist() == [5, 2]
    assert rings[0].max(0).tolist() == [15, 6]
    assert rings[1].min(0).tolist() == [7, 3]
    assert rings[1].max(0).tolist() == [9, 4]


def test_groups_have_colours_of_their_own() -> None:
    colours = group_colours([Annotation(group_id=group) for group in (4, None, 2, 4, 0)])
    assert list(colours) == [4, 2, 0]
    assert len(set(colours.values())) == 3
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours.values())


def test_names_cannot_break_the_page(tmp_path: Path, rng: np.random.Generator) -> None:
    with SplitWriter(tmp_path / "s", categories=[{"id": 1, "name": "<script>alert(1)</script>"}]) as writer:
        square = Annotation(category_id=1, segmentation=[rectangle(1, 1, 9, 9)])
        writer.add_image(photo(rng), [square], file_name="<b>&.png")
    browse(read_split(tmp_path / "s"), tmp_path / "page.html", Report())
    text = (tmp_path / "page.html").read_text()
    assert "<script" not in text
    assert "&lt;b&gt;&amp;.png" in text


def test_what_cannot_be_shown_is_listed(tmp_path: Path, rng: np.random.Generator) -> None:
    with SplitWriter(tmp_path / "s") as writer:
        bad = Annotation(segmentation={"size": [60, 80], "counts": "x"}, bbox=(0, 0, 1, 1), area=1)
        writer.add_image(photo(rng), [bad], file_name="a.png")
        writer.add_image(photo(rng), file_name="b.png")
    (tmp_path / "s" / "images" / "b.png").write_bytes(b"no image")
    report = Report()
    browse(read_split(tmp_path / "s"), tmp_path / "page.html", report)
    assert [item for item, _ in report.skipped] == ["a.png: annotation 1", "b.png"]


def test_a_split_without_photos_is_refused(tmp_path: Path) -> None:
    split = read_split(write_small_split(tmp_path / "s"))
    for path in (tmp_path / "s" / "images").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="none of the 3 images"):
        browse(split, tmp_path / "page.html", Report())
