"""Algorithm 1 on toy scenes: objects are intervals of the x axis, every step is written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from models.ids import Accepted, Proposal, SelectionConfig, SelectionSteps, select_iteratively


@dataclass(frozen=True)
class Thing:
    """Covers [left, right) of the x axis."""

    name: str
    left: float
    right: float
    alike: float = 1.0
    score: float = 1.0

    def holds(self, x: float) -> bool:
        return self.left <= x < self.right


@dataclass
class Toy:
    """Answers each round with the next list of proposals (x, confidence), and notes what it was asked."""

    things: Sequence[Thing]
    rounds: Sequence[Sequence[tuple[float, float]]]
    exemplars: list[list[str]] = field(default_factory=list)
    segmented: list[list[float]] = field(default_factory=list)
    verified: list[list[str]] = field(default_factory=list)

    def select(self, initial: Thing, **config: Any) -> list[Accepted[Thing]]:
        steps = SelectionSteps(
            propose=self.propose,
            segment=self.segment,
            similarity=self.similarity,
            holds=lambda thing, x, y: thing.holds(x),
            overlap=overlap,
            score=lambda thing: thing.score,
        )
        return select_iteratively(initial, steps, SelectionConfig(**config))

    def propose(self, exemplars: Sequence[Thing]) -> list[Proposal]:
        self.exemplars.append([thing.name for thing in exemplars])
        proposals = self.rounds[min(len(self.exemplars), len(self.rounds)) - 1]
        return [Proposal(x, 0.0, confidence) for x, confidence in proposals]

    def segment(self, points: Sequence[tuple[float, float]]) -> list[Thing | None]:
        self.segmented.append([x for x, _ in points])
        return [next((t for t in self.things if t.holds(x)), None) for x, _ in points]

    def similarity(self, things: Sequence[Thing]) -> list[float]:
        self.verified.append([thing.name for thing in things])
        return [thing.alike for thing in things]


def overlap(a: Thing, b: Thing) -> float:
    common = max(min(a.right, b.right) - max(a.left, b.left), 0)
    return common / min(a.right - a.left, b.right - b.left)


def names(accepted: Sequence[Accepted[Thing]]) -> list[str]:
    return [a.item.name for a in accepted]


CLICKED = Thing("clicked", 0, 10)
A, B, C = Thing("a", 10, 20, 0.9, 0.9), Thing("b", 20, 30, 0.6, 0.5), Thing("c", 30, 40, 0.8, 1.0)
OTHER = Thing("other", 40, 50, 0.4)


def test_every_step_of_three_rounds() -> None:
    toy = Toy(
        [CLICKED, A, B, C, OTHER],
        [
            # on the clicked one; on b; on a; below the confidence; where there is nothing
            [(5, 0.99), (25, 0.5), (15, 0.7), (35, 0.19), (99, 0.3)],
            # a and b again; c now reaches the confidence; one that is unlike
            [(15, 0.9), (25, 0.9), (35, 0.2), (45, 0.9)],
            # the refused one again, elsewhere on it; nothing new
            [(47, 0.9), (12, 0.8), (99, 0.8)],
        ],
    )
    found = toy.select(CLICKED)
    assert names(found) == ["clicked", "a", "b", "c"]
    assert [a.confidence for a in found] == pytest.approx([1.0, 0.9 * 0.9, 0.6 * 0.5, 0.8])
    assert toy.segmented == [[15, 25, 99], [45, 35]]  # best first; nothing that is known is clicked again
    assert toy.verified == [["a", "b"], ["other", "c"]]
    # the clicked one and the two surest: 0.81 and 0.3; then c's 0.8 comes second
    assert toy.exemplars == [["clicked"], ["clicked", "a", "b"], ["clicked", "a", "c"]]


def test_stops_when_a_round_adds_nothing() -> None:
    toy = Toy([CLICKED, A, OTHER], [[(15, 0.9)], [(45, 0.9)], [(15, 0.9)]])
    assert names(toy.select(CLICKED)) == ["clicked", "a"]
    assert len(toy.exemplars) == 2  # the second round found only what was refused


def test_stops_when_nothing_is_proposed() -> None:
    toy = Toy([CLICKED], [[]])
    assert names(toy.select(CLICKED)) == ["clicked"]
    assert (len(toy.exemplars), toy.segmented, toy.verified) == (1, [], [])


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_rounds_limit_the_loop(rounds: int) -> None:
    things = [Thing(str(i), 10 * i, 10 * i + 10) for i in range(1, 9)]
    toy = Toy([CLICKED, *things], [[(10 * i + 5, 0.9)] for i in range(1, 9)])
    assert names(toy.select(CLICKED, rounds=rounds)) == ["clicked", *(str(i) for i in range(1, rounds + 1))]
    assert len(toy.exemplars) == rounds


def test_clicks_per_round_are_the_most_confident() -> None:
    things = [Thing(str(i), 10 * i, 10 * i + 10) for i in range(1, 6)]
    proposals = [(15, 0.3), (25, 0.9), (35, 0.5), (45, 0.7), (55, 0.4)]
    toy = Toy([CLICKED, *things], [proposals])
    assert names(toy.select(CLICKED, clicks_per_round=2, rounds=2)) == ["clicked", "2", "4", "3", "5"]
    assert toy.segmented == [[25, 45], [35, 55]]


@pytest.mark.parametrize(("exemplars", "second"), [(1, ["clicked"]), (2, ["clicked", "a"]), (9, None)])
def test_exemplars_are_the_clicked_one_and_the_surest(exemplars: int, second: list[str] | None) -> None:
    toy = Toy([CLICKED, B, A, C], [[(25, 0.9), (15, 0.8), (35, 0.7)], []])
    toy.select(CLICKED, exemplars=exemplars)
    assert toy.exemplars[1] == (second or ["clicked", "a", "c", "b"])


def test_two_clicks_on_one_object_give_one_mask() -> None:
    left, right = Thing("left", 10, 20), Thing("right", 14, 22)  # 6 of right's 8 lie in left
    toy = Toy([CLICKED, left, right], [[(12, 0.9), (21, 0.8), (18, 0.7)]])
    assert names(toy.select(CLICKED, rounds=1)) == ["clicked", "left"]
    assert names(toy.select(CLICKED, rounds=1, overlap=0.75)) == ["clicked", "left", "right"]


def test_a_mask_over_the_clicked_object_is_never_added() -> None:
    wider = Thing("wider", -20, 11)  # holds all of the clicked one
    toy = Toy([wider, CLICKED], [[(-5, 0.9)]])
    assert names(toy.select(CLICKED)) == ["clicked"]


def test_refused_objects_are_not_clicked_again() -> None:
    toy = Toy([CLICKED, A, B, OTHER], [[(45, 0.9), (15, 0.8)], [(44, 0.9), (25, 0.8)], [(41, 0.9)]])
    assert names(toy.select(CLICKED)) == ["clicked", "a", "b"]
    assert toy.segmented == [[45, 15], [25]]


def test_a_click_on_nothing_is_not_tried_again() -> None:
    toy = Toy([CLICKED, A, B], [[(90, 0.9), (15, 0.8)], [(90, 0.9), (25, 0.8)], [(90, 0.9)]])
    assert names(toy.select(CLICKED)) == ["clicked", "a", "b"]
    assert toy.segmented == [[90, 15], [25]]


def test_without_verification_all_proposals_pass() -> None:
    toy = Toy([CLICKED, A, OTHER], [[(45, 0.6), (15, 0.3)], []])
    found = toy.select(CLICKED, verify=False)
    assert names(found) == ["clicked", "other", "a"]
    assert [a.confidence for a in found] == pytest.approx([1.0, 0.6, 0.3 * 0.9])  # the proposals' own
    assert toy.verified == []


def test_thresholds_are_inclusive() -> None:
    just, under = Thing("just", 10, 20, alike=0.5), Thing("under", 20, 30, alike=0.4999)
    toy = Toy([CLICKED, just, under], [[(15, 0.2), (25, 0.2), (12, 0.1999)]])
    assert names(toy.select(CLICKED)) == ["clicked", "just"]
    assert toy.segmented[0] == [15, 25]
    assert names(Toy([CLICKED, A, B], [[(15, 0.5), (25, 0.5)]]).select(CLICKED, similarity=0.7)) == [
        "clicked",
        "a",
    ]
    assert names(Toy([CLICKED, A, B], [[(15, 0.5), (25, 0.4)]]).select(CLICKED, confidence=0.45)) == [
        "clicked",
        "a",
    ]


def test_defaults_are_the_papers() -> None:
    c = SelectionConfig()
    assert (c.rounds, c.window, c.confidence, c.clicks_per_round, c.exemplars, c.similarity) == (
        5,
        5,
        0.2,
        10,
        3,
        0.5,
    )


def test_sure_clicks_are_all_taken() -> None:
    things = [Thing(str(i), 10 * i, 10 * i + 10) for i in range(1, 6)]
    proposals = [(15, 0.3), (25, 0.9), (35, 0.5), (45, 0.7), (55, 0.4)]
    toy = Toy([CLICKED, *things], [proposals])
    assert names(toy.select(CLICKED, clicks_per_round=1, rounds=1, sure=0.5)) == ["clicked", "2", "4", "3"]
    assert toy.segmented == [[25, 45, 35]]
    few = Toy([CLICKED, *things], [proposals])
    few.select(CLICKED, clicks_per_round=4, rounds=1, sure=0.5)
    assert few.segmented == [[25, 45, 35, 55]]  # they count among the clicks of the round


def test_a_judge_is_given_more_to_choose_from() -> None:
    more = SelectionConfig().before_judge()
    assert (more.confidence, more.similarity, more.clicks_per_round, more.sure) == (0.05, 0.3, 10, 0.2)
    assert SelectionConfig().sure == 1  # as in the paper, a round has k clicks
