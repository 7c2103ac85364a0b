from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.systems import KnowingScene, KnowingSystem, box_mask, object_of, write_objects
from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.evaluation.proposals import judge_clicks, run_proposals
from toolkit.image import open_image

LEFT, RIGHT, BIG = box_mask(0, 0, 20, 20), box_mask(40, 0, 20, 20), box_mask(40, 0, 60, 60)
FOUR = [box_mask(40 * i, 0, 20, 20) for i in range(4)]
NOWHERE = Click(100.5, 150.5)


def test_each_sibling_once_and_the_surest_click_first() -> None:
    proposed = [(Click(5, 5), 0.5), (Click(10, 10), 0.9), (NOWHERE, 0.7), (Click(50, 10), 0.3)]
    # 0.9 hits the left one; 0.7 nothing; 0.5 the left one again; 0.3 the right one
    assert judge_clicks(proposed, [LEFT, RIGHT]) == [(0.9, 1), (0.7, 0), (0.5, 0), (0.3, 1)]


def test_of_overlapping_siblings_the_smallest_that_is_left() -> None:
    proposed = [(Click(50, 10), 0.9), (Click(51, 11), 0.8), (Click(90, 50), 0.7)]
    assert judge_clicks(proposed, [BIG, RIGHT]) == [(0.9, 1), (0.8, 1), (0.7, 0)]


def test_clicks_on_neutral_masks_do_not_count_but_siblings_come_first() -> None:
    proposed = [(Click(5, 5), 0.9), (Click(50, 10), 0.8), (Click(51, 11), 0.7), (NOWHERE, 0.6)]
    verdicts = judge_clicks(proposed, [RIGHT], neutral=[LEFT, BIG])
    assert verdicts == [(0.8, 1), (0.7, 0), (0.6, 0)]


class ProposingSystem(KnowingSystem):
    """Proposes the siblings at the left edge of 0, 40 and 80 with 0.9, 0.5 and 0.1, and nowhere with 0.4."""

    def encode(self, image):
        scene = super().encode(image)
        return _Proposing(self, image.shape[:2], scene.objects)


class _Proposing(KnowingScene):
    def propose_clicks(self, click, limit=100):
        proposed = [(Click(10, 10), 0.9), (Click(50, 10), 0.5), (NOWHERE, 0.4), (Click(90, 10), 0.1)]
        return proposed[:limit]


@pytest.fixture
def split(tmp_path: Path):
    """A group of four, a group of one, and a photo without groups."""
    photo = [object_of(mask, group_id=1) for mask in FOUR] + [object_of(box_mask(0, 90, 9, 9), group_id=2)]
    return write_objects(tmp_path / "split", [photo, [object_of(LEFT)]])


def test_a_protocol_by_hand(split, tmp_path: Path) -> None:
    out = tmp_path / "out"
    system = ProposingSystem(split)
    result = run_proposals(split, system, out, seed=target_at(split, 120))
    assert json.loads((out / "result.json").read_text()) == result
    # the fourth is clicked: three to find, found first, second and fourth of four clicks
    assert (result["n"], result["siblings"], result["clicks"]) == (1, 3, 4)
    assert result["auc_pr"] == pytest.approx((1 + 1 + 3 / 4) / 3)
    # at 0.2: two of three right, two of three found
    assert result["precision"] == result["recall"] == result["f1"] == pytest.approx(2 / 3)
    assert result["precision_ci_low"] is None
    assert "| knowing | 1 | 91.7 | 66.7 | 66.7 | 66.7 |" in (out / "table.md").read_text()
    assert open_image(out / "proposals.png").std() > 5
    assert run_proposals(split, system, out, seed=target_at(split, 120)) == result
    assert system.encoded == 1


def test_the_clicked_one_counts_neither_way(split, tmp_path: Path) -> None:
    result = run_proposals(split, ProposingSystem(split), tmp_path / "out", seed=target_at(split, 0))
    # right at 0.5 and 0.1, wrong at 0.4; the fourth is never proposed
    assert (result["siblings"], result["clicks"]) == (3, 3)
    assert result["auc_pr"] == pytest.approx((1 + 2 / 3) / 3)


def test_nothing_under_the_click(split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Proposing, "propose_clicks", lambda self, click, limit=100: [])
    result = run_proposals(split, ProposingSystem(split), tmp_path / "out")
    assert (result["auc_pr"], result["precision"], result["recall"], result["f1"]) == (0, None, 0, 0)


def test_what_cannot_be_measured(split, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="propose_clicks"):
        run_proposals(split, KnowingSystem(split), tmp_path / "out")
    with pytest.raises(InputError, match="at least 1"):
        run_proposals(split, ProposingSystem(split), tmp_path / "out", most=0)
    lonely = write_objects(tmp_path / "lonely", [[object_of(LEFT, group_id=1)]])
    with pytest.raises(InputError, match="no photo could be measured"):
        run_proposals(lonely, ProposingSystem(lonely), tmp_path / "out")


def target_at(split, x: int) -> int:
    """The first seed with which the sibling at x is clicked."""
    from toolkit.evaluation.clicking import EXACT, random_of
    from toolkit.evaluation.groups import clicked_sibling
    from toolkit.evaluation.truth import read_truth
    from toolkit.report import Report

    truth = read_truth(split, split.images[0], Report())
    for seed in range(100):
        rng = random_of(seed, truth.record.id, 1)
        if clicked_sibling(truth.groups()[1], EXACT, rng)[1].x // 40 == x // 40:
            return seed
    raise AssertionError(x)
