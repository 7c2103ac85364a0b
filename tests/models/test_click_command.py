"""`declutter click`, with a system that selects patches of one colour."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from models.click_command import check_inside, parse_click, select
from tests.helpers.flood_fill import FloodFillScene, FloodFillSystem, draw_discs
from toolkit.cli import run
from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.image import open_image, save_image

RED, BLUE = (220, 30, 30), (30, 30, 220)
DISCS = [(20, 20, 8, RED), (60, 20, 8, RED), (100, 20, 8, RED), (20, 60, 10, BLUE), (60, 60, 10, BLUE)]


@pytest.fixture
def image() -> np.ndarray:
    return draw_discs(DISCS, 80, 120)


@pytest.fixture
def photo(tmp_path: Path, image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A photo on disk, and the flood-fill system in the place of the trained one."""

    class Selector:
        name = "simpson"

        @classmethod
        def load(cls, source: str | None = None) -> FloodFillSystem:
            return FloodFillSystem()

    fake = ModuleType("models.selector")
    fake.Selector = Selector  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "models.selector", fake)
    monkeypatch.chdir(tmp_path)
    save_image(tmp_path / "photo.png", image)
    return tmp_path / "photo.png"


def selected_masks(path: Path) -> list[np.ndarray]:
    annotations = json.loads(path.read_text())["annotations"]
    return [coco_mask.decode(annotation["segmentation"]).astype(bool) for annotation in annotations]


def test_one_click_selects_the_object_and_its_siblings(
    photo: Path, image: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["click", str(photo), "--at", "60,20", "--remove", "--out", "out"]) == 0
    assert "3 objects selected" in capsys.readouterr().out
    masks = selected_masks(Path("out/selection.json"))
    assert len(masks) == 3
    assert masks[0][20, 60]  # the clicked one comes first
    assert (np.any(masks, axis=0) == (image == RED).all(axis=2)).all()
    coco = json.loads(Path("out/selection.json").read_text())
    assert coco["images"][0] == coco["images"][0] | {"file_name": "photo.png", "width": 120, "height": 80}
    assert open_image("out/overlay.png").shape == image.shape
    cleaned = open_image("out/cleaned.png")
    assert cleaned[20, 60].max() < 30
    assert tuple(cleaned[60, 60]) == BLUE


def test_single_selects_only_the_clicked_objects(photo: Path) -> None:
    assert run(["click", str(photo), "--at", "60,20", "--at", "20,60", "--single"]) == 0
    masks = selected_masks(Path("photo-selection/selection.json"))
    assert [(mask[20, 60], mask[60, 20]) for mask in masks] == [(True, False), (False, True)]
    assert not Path("photo-selection/cleaned.png").exists()


def test_a_system_without_siblings_selects_the_clicked_object(
    photo: Path, image: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["click", str(photo), "--at", "60,20", "--system", "flood-fill", "--out", "out"]) == 0
    assert "1 object selected" in capsys.readouterr().out
    (mask,) = selected_masks(Path("out/selection.json"))
    clicked = (image == RED).all(axis=2)
    clicked[:, :40] = clicked[:, 80:] = False  # the other two red discs
    assert not (mask & ~clicked).any()
    assert mask.sum() > 0.7 * clicked.sum()  # flood fill smooths, and leaves the rim out
    assert run(["click", str(photo), "--at", "60,20", "--system", "flood-fill", "--similar"]) == 2
    assert "selects single objects only" in capsys.readouterr().err


def test_several_clicks_select_several_groups_each_object_once(image: np.ndarray) -> None:
    clicks = [Click(60, 20), Click(20, 60), Click(100, 20)]  # the third lies on a sibling of the first
    selection = select(FloodFillScene(image), clicks, similar=True)
    assert [instance.group for instance in selection] == [0, 0, 0, 1, 1]
    assert np.sum([instance.mask for instance in selection], axis=0).max() == 1


def test_siblings_are_not_asked_of_a_scene_that_finds_none(image: np.ndarray) -> None:
    class SingleScene:
        height, width = image.shape[:2]
        segment = staticmethod(FloodFillScene(image).segment)
        segment_each = staticmethod(FloodFillScene(image).segment_each)

    assert len(select(SingleScene(), [Click(60, 20)], similar=False)) == 1
    with pytest.raises(InputError, match="--single"):
        select(SingleScene(), [Click(60, 20)], similar=True)


def test_the_same_object_clicked_twice_is_selected_once(image: np.ndarray) -> None:
    selection = select(FloodFillScene(image), [Click(60, 20), Click(62, 22)], similar=False)
    assert len(selection) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--at", "5,5"], "no object found under this click"),
        (["--at", "60,20", "--at", "5,5", "--single"], "--at 5,5: no object"),
        (["--at", "120,20"], "outside the photo, which is 120 pixels wide and 80 high"),
        (["--at", "-1,20"], "outside the photo"),
        (["--at", "60;20"], "expected X,Y in pixels"),
        (["--at", "60,nan"], "expected X,Y in pixels"),
        (["--at", "60,20", "--out", "photo.png/out"], "cannot make this folder"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    photo: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["click", str(photo), *arguments]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
    assert not Path("photo-selection").exists()


def test_unreadable_photos_are_refused(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("notes.jpg").write_text("not a photo")
    Path("cut.png").write_bytes(photo.read_bytes()[:200])
    for name in ("notes.jpg", "cut.png", "absent.jpg"):
        assert run(["click", name, "--at", "1,1"]) == 2
        assert name in capsys.readouterr().err


def test_clicks_on_the_last_pixel_are_inside() -> None:
    check_inside([Click(0, 0), Click(119.9, 79.9)], 80, 120)
    with pytest.raises(InputError):
        check_inside([Click(119, 80)], 80, 120)


def test_a_click_reads_as_two_numbers() -> None:
    assert parse_click(" 12.5, 7") == Click(12.5, 7.0)
