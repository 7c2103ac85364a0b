from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.systems import KnowingSystem, box_mask, object_of, write_objects
from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.evaluation.clicking import HUMAN_DISTANCE, HUMAN_RADIUS, HUMAN_SPREAD, Aim, piece_at, random_of
from toolkit.evaluation.clicks import (
    ClickProtocol,
    click_repeatedly,
    failures,
    number_of_clicks,
    run_clicks,
)
from toolkit.image import open_image
from toolkit.masks import mask_box, mask_to_rle
from toolkit.selection import Instance

WHOLE = box_mask(0, 0, 100, 10, (60, 120))


class StepScene:
    """Answers n clicks with the n-th mask of a list (more with the last), and remembers the clicks."""

    height, width = 60, 120

    def __init__(self, masks: list[np.ndarray | None]) -> None:
        self.masks, self.clicks = masks, []

    def segment(self, clicks):
        self.clicks.append(list(clicks))
        mask = self.masks[min(len(clicks), len(self.masks)) - 1]
        return None if mask is None else Instance(mask, mask_box(mask), 0.9)


def part(width: int) -> np.ndarray:
    return box_mask(0, 0, width, 10, (60, 120))


def ious_of(scene: StepScene, **how) -> list[float]:
    return click_repeatedly(scene, WHOLE, ClickProtocol(**how), random_of(0))


def test_the_iou_after_each_click() -> None:
    scene = StepScene([part(50), None, part(80), WHOLE])
    assert ious_of(scene, most=6) == pytest.approx([0.5, 0, 0.8, 1, 1, 1])
    # four clicks were made: nothing is left to click after the fourth, and the IoU stays
    assert [len(clicks) for clicks in scene.clicks] == [1, 2, 3, 4]
    assert all(click.positive for click in scene.clicks[-1])


def test_a_negative_click_unless_only_positive_ones_are_allowed() -> None:
    more = WHOLE | box_mask(0, 10, 100, 30, (60, 120))  # all of the object, and three times as much below
    scene = StepScene([more, WHOLE])
    assert ious_of(scene, most=3) == pytest.approx([0.25, 1, 1])
    # the wrong pixels are rows 10 to 39: their first deepest pixel is 15 from the top and left edges
    assert scene.clicks[1][1] == Click(14.5, 24.5, positive=False)
    scene = StepScene([more, WHOLE])
    assert ious_of(scene, most=3, positive_only=True) == pytest.approx([0.25] * 3)
    assert len(scene.clicks) == 1


def test_ignored_pixels_count_neither_way() -> None:
    ignored = box_mask(50, 0, 50, 60, (60, 120))
    scene = StepScene([part(25) | ignored, part(50)])
    ious = click_repeatedly(scene, WHOLE, ClickProtocol(most=3), random_of(0), ignored)
    assert ious == pytest.approx([0.5, 1, 1])
    assert all(click.x < 50 for click in scene.clicks[-1])


def test_number_of_clicks_and_failures_by_hand() -> None:
    ious = np.array([[0.9, 0.2, 0.9], [0.1, 0.86, 0.7], [0.1, 0.2, 0.9], [0.1, 0.2, 0.3]])
    assert number_of_clicks(ious, 0.9).tolist() == [1, 3, 3, 3]
    assert number_of_clicks(ious, 0.85).tolist() == [1, 2, 3, 3]
    assert failures(ious, 0.9).tolist() == [False, True, False, True]
    # RITM counts success with the very last click as a failure
    assert failures(ious, 0.9, ritm=True).tolist() == [False, True, True, True]
    assert not failures(np.array([[1.0]]), 0.9).any()
    assert failures(np.array([[1.0]]), 0.9, ritm=True).all()


@pytest.fixture
def split(tmp_path: Path):
    """A small object that is found, and a medium one of which half is."""
    masks = [box_mask(0, 0, 20, 20), box_mask(50, 50, 40, 60)]
    return write_objects(tmp_path / "split", [[object_of(masks[0])], [object_of(masks[1])]])


def half_of_the_medium(annotation, mask):
    return (mask if mask.sum() == 400 else mask & box_mask(50, 50, 40, 30)), 0.9


def test_the_files(split, tmp_path: Path) -> None:
    out = tmp_path / "out"
    system = KnowingSystem(split, half_of_the_medium)
    result = run_clicks(split, system, out)
    assert json.loads((out / "result.json").read_text()) == result
    assert (result["n"], result["noc_90"], result["nof_90"]) == (2, 10.5, 1)  # 1 click, and 20
    assert (result["miou_1"], result["miou_20"], result["miou_1_sd"]) == (0.75, 0.75, None)
    table = (out / "table.md").read_text()
    assert "| knowing | 2 | 10.50 | 10.50 | 10.50 | 1 | 1 | 1 |" in table
    assert "| knowing | 75.0 |" in table
    assert open_image(out / "clicks.png").std() > 5
    assert run_clicks(split, system, out) == result
    assert system.encoded == 2


def test_repeats_of_inexact_clicks(split, tmp_path: Path) -> None:
    clicking = ClickProtocol(most=2, aim=Aim(jitter=0.5), repeats=3)
    result = run_clicks(split, KnowingSystem(split), tmp_path / "out", clicking)
    # clicks stay on the object, so that the answer is right each time
    assert (result["noc_80"], result["noc_80_sd"], result["nof_80"], result["miou_2"]) == (1, 0, 0, 1)
    assert "1.00 ± 0.00" in (tmp_path / "out" / "table.md").read_text()


def test_label_minus_one_on_file(tmp_path: Path) -> None:
    mask = box_mask(0, 0, 40, 20)
    outside = {"ignore": mask_to_rle(box_mask(20, 0, 20, 20))}
    split = write_objects(tmp_path / "split", [[object_of(mask, extra=outside)]])
    half = KnowingSystem(split, lambda annotation, mask: (box_mask(0, 0, 20, 20), 0.9))
    assert run_clicks(split, half, tmp_path / "out")["miou_1"] == 1


def test_human_distances_have_the_mean_and_spread_of_the_study() -> None:
    # a disc of twice the study's size: distances are twice as long, and few clicks leave it
    rows, columns = np.indices((800, 800))
    mask = np.hypot(rows - 399.5, columns - 399.5) <= 2 * HUMAN_RADIUS
    spot = Click(400, 400)
    clicks = [Aim(human=True).move(spot, mask, random_of(seed)) for seed in range(400)]
    distances = np.hypot(*np.array([(click.x - 400, click.y - 400) for click in clicks]).T)
    assert distances.mean() == pytest.approx(2 * HUMAN_DISTANCE, rel=0.15)
    assert distances.std() == pytest.approx(2 * HUMAN_SPREAD, rel=0.2)


def test_an_inexact_click_stays_on_the_piece_and_keeps_its_sign() -> None:
    region = box_mask(0, 0, 10, 10) | box_mask(100, 100, 50, 50)
    spot = Click(5, 5, positive=False)
    piece = piece_at(region, spot)
    assert piece.sum() == 100
    for seed in range(20):
        click = Aim(jitter=3.0).move(spot, piece, random_of(seed))
        assert piece[click.row, click.column]
        assert not click.positive


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(InputError, match="not both"):
        Aim(jitter=0.1, human=True)
    with pytest.raises(InputError, match="jitter"):
        Aim(jitter=-1)
    with pytest.raises(InputError, match="at least 1"):
        ClickProtocol(most=0)
