from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.systems import KnowingScene, KnowingSystem, box_mask, object_of, write_objects
from toolkit.clicks import Click
from toolkit.evaluation.clicks import ClickProtocol, run_click_records
from toolkit.evaluation.recall import efforts_of, run_recall_records, several, worthwhile_clicks
from toolkit.evaluation.truth import read_truth
from toolkit.exemplars import Exemplar, exemplar_to_json
from toolkit.masks import mask_box
from toolkit.report import Report
from toolkit.selection import Instance
from toolkit.split import Split

BOXES = [box_mask(x, 50, 20, 20) for x in (10, 60, 110)]
EXEMPLAR_CLICK = Click(70.5, 60.5)


class RecallingScene(KnowingScene):
    """Given an exemplar, it answers with all of its siblings, or the clicked one, but for the exemplar."""

    recalls = "all"

    def segment_like(self, clicks: Sequence[Click], exemplars: Sequence[Exemplar]) -> Instance:
        self.system.exemplars += exemplars
        mask = np.logical_or.reduce([mask for _, mask in self.objects]) & ~exemplars[0].mask
        return Instance(mask, mask_box(mask), 0.9)


class RecallingOne(RecallingScene):
    recalls = "one"

    def segment_like(self, clicks: Sequence[Click], exemplars: Sequence[Exemplar]) -> Instance | None:
        self.system.exemplars += exemplars
        return self.segment(clicks)


class RecallingSystem(KnowingSystem):
    """Finds half of each object, unless an exemplar helps it."""

    def __init__(self, split: Split, kind: type[RecallingScene]) -> None:
        super().__init__(split, lambda _, mask: (mask & (np.arange(200) % 2 == 0), 0.9))
        self.kind = kind
        self.exemplars: list[Exemplar] = []

    def encode(self, image: np.ndarray) -> KnowingScene:
        return self.kind(self, image.shape[:2], self._photos[image.tobytes()])


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """Three boxes of one group, the second marked as its exemplar, and one alone in another photo."""
    marked = {"exemplar": exemplar_to_json([EXEMPLAR_CLICK])}
    boxes = [object_of(m, group_id=1, extra=marked if i == 1 else {}) for i, m in enumerate(BOXES)]
    return write_objects(tmp_path / "split", [boxes, [object_of(BOXES[0], group_id=1)]])


def photos(split: Split) -> set[int]:
    return {record.id for record in split}


def test_groups_of_one_and_crowds_are_no_groups(split: Split) -> None:
    truths = [read_truth(split, record, Report()) for record in split]
    assert [list(several(truth)) for truth in truths] == [[1], []]


def test_exemplars_get_clicks_while_they_gain_one_per_cent() -> None:
    assert worthwhile_clicks([0.5, 0.6, 0.605, 0.9, 0.95]) == 2
    assert worthwhile_clicks([0.5, 0.52, 0.54, 0.56, 0.58]) == 5
    assert worthwhile_clicks([0.8, 0.7]) == 1
    assert worthwhile_clicks([0.8]) == 1


def test_a_system_that_recalls_all_others_gets_an_exemplar(split: Split, tmp_path: Path) -> None:
    system, clicking = RecallingSystem(split, RecallingScene), ClickProtocol(most=3)
    results = run_recall_records(split, system, tmp_path / "r", clicking, photos=photos(split), seed=0)
    (group,) = results[0][1]["groups"]
    second = next(a.id for a in split.annotations if "exemplar" in a.extra)
    assert group["exemplar"] == second
    # the true mask leaves exactly the others: IoU 1. Of its own mask every other column is missing, so that
    # half of the exemplar's 400 pixels come on top of the 800
    assert group["all"]["additional"] == [[1, 1, 1]]
    assert group["all"]["collective"] == [pytest.approx([800 / 1000] * 3)]
    assert "one" not in group
    given = system.exemplars[-1]
    assert given.clicks == (EXEMPLAR_CLICK,)
    assert np.array_equal(given.mask, BOXES[1])


def test_a_system_that_recalls_one_clicks_the_others_one_by_one(split: Split, tmp_path: Path) -> None:
    system, clicking = RecallingSystem(split, RecallingOne), ClickProtocol(most=2)
    results = run_recall_records(split, system, tmp_path / "r", clicking, photos=photos(split), seed=0)
    (group,) = results[0][1]["groups"]
    assert group["one"]["additional"] == [pytest.approx([0.5, 0.5])] * 2
    assert group["all"]["additional"] == [pytest.approx([0.25, 0.25])]  # half of one of two objects


def test_other_systems_have_their_efforts_from_the_records_of_clicks(split: Split, tmp_path: Path) -> None:
    system, clicking = KnowingSystem(split), ClickProtocol(most=2)
    clicked = run_click_records(split, system, tmp_path / "c", clicking, limit=None, seed=0)
    recalled = run_recall_records(split, system, tmp_path / "r", clicking, photos=photos(split), seed=0)
    assert all("one" not in group for _, record in recalled for group in record["groups"])
    (one,) = efforts_of(recalled, clicked, "one", seed=0)
    assert one.exemplar.tolist() == [1, 1]
    assert one.additional.tolist() == one.collective.tolist() == [[1, 1], [1, 1]]
    (all_others,) = efforts_of(recalled, clicked, "all", seed=0)
    assert all_others.additional.tolist() == [[0.5, 0.5]]  # one object of two


def test_clicks_of_an_exemplar_are_simulated_where_none_are_on_file(tmp_path: Path) -> None:
    split = write_objects(tmp_path / "split", [[object_of(mask, group_id=1) for mask in BOXES]])
    system = RecallingSystem(split, RecallingScene)
    for out in ("a", "b"):
        run_recall_records(split, system, tmp_path / out, ClickProtocol(most=1), photos=photos(split), seed=3)
    _, first, _, second = system.exemplars
    assert first.clicks == second.clicks
    assert first.clicks[0].positive
    assert first.mask[first.clicks[0].row, first.clicks[0].column]
