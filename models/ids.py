"""IDS: iterative distractor selection (SimpSON, section 3.4, algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class SelectionConfig:
    """Named parameters of the selection; the defaults are the paper's.

    Attributes:
        rounds: N, rounds of proposing and verifying (section 3.4: 5). 1 turns IDS off.
        window: Side of the heatmap's NMS window, cells of stride 4 (section 3.4: kernel size 5).
        single_window: The same when IDS is off, cells (section 3.2: 32 pixels).
        confidence: Lowest confidence of a proposed click (algorithm 1: 0.2).
        clicks_per_round: k, new clicks per round (section 3.4: 10).
        exemplars: m, best masks that become the next exemplars (section 3.4: 3).
        verify: Whether PVM judges what was proposed.
        similarity: Lowest similarity of what PVM lets pass (section 3.3: 0.5).
        overlap: Two masks of which the smaller lies in the other by more than this part are one object.
        zoom_in: Whether what comes out small is looked at again in a crop
            (:mod:`models.zoom_in`), and its siblings are sought in a finer view
            (:mod:`models.sibling_views`); no part of the paper.
        refine: Whether masks are mended in crops of their own where the weights hold a refiner
            (:mod:`models.refiner`); no part of the paper.
        judge: Whether what PVM let pass is judged once more, all of it together, where the weights hold a
            judge (:mod:`models.judge`); no part of the paper.
        judged_confidence: In place of `confidence`, where a judge follows.
        judged_similarity: In place of `similarity`, where a judge follows.
        sure: A round takes all clicks from this confidence on, however many (algorithm 1 has no such).
    """

    rounds: int = 5
    window: int = 5
    single_window: int = 9
    confidence: float = 0.2
    clicks_per_round: int = 10
    exemplars: int = 3
    verify: bool = True
    similarity: float = 0.5
    overlap: float = 0.5
    zoom_in: bool = True
    refine: bool = True
    judge: bool = True
    judged_confidence: float = 0.05
    judged_similarity: float = 0.3
    sure: float = 1.0

    def before_judge(self) -> SelectionConfig:
        """The same with the thresholds that leave more to a judge; its own confidence tells what is sure."""
        return replace(
            self,
            confidence=self.judged_confidence,
            similarity=self.judged_similarity,
            sure=min(self.sure, self.confidence),
        )


@dataclass(frozen=True)
class Proposal:
    """A proposed click, pixels of the network's input, and its confidence 0–1."""

    x: float
    y: float
    confidence: float


@dataclass(frozen=True)
class Accepted(Generic[T]):
    """A selected object.

    Attributes:
        item: The object.
        confidence: How sure the selection is of it, 0–1.
        similarity: PVM's, to the clicked object, 0–1; 1 without verification.
        proposed: The confidence of the click that proposed it, 0–1.
    """

    item: T
    confidence: float
    similarity: float = 1.0
    proposed: float = 1.0


@dataclass(frozen=True)
class SelectionSteps(Generic[T]):
    """What the selection loop asks of the models.

    Attributes:
        propose: Clicks for a list of exemplars (CPN).
        segment: The object under each click, None where there is none (1C-DSN).
        similarity: How alike each of some objects and the clicked one are, 0–1 (PVM).
        holds: Whether an object's mask holds a point.
        overlap: The part of the smaller of two masks that lies in the other.
        score: The segmentation's own score of an object, 0–1.
    """

    propose: Callable[[Sequence[T]], Sequence[Proposal]]
    segment: Callable[[Sequence[tuple[float, float]]], Sequence[T | None]]
    similarity: Callable[[Sequence[T]], Sequence[float]]
    holds: Callable[[T, float, float], bool]
    overlap: Callable[[T, T], float]
    score: Callable[[T], float]


def select_iteratively(initial: T, steps: SelectionSteps[T], config: SelectionConfig) -> list[Accepted[T]]:
    """All objects like the clicked one.

    Each round proposes clicks for the exemplars, leaves out those on objects that are accepted or were
    refused before, segments the k best, keeps what is new and verified, and takes the m surest masks as the
    next exemplars. A round that adds nothing ends the loop. The clicked object is always the first of the
    result.

    Args:
        initial: The clicked object.
        steps: The models.
        config: Parameters.

    Source: SimpSON, algorithm 1. One change: an object is segmented and verified once, in the round that
        proposes it, since neither answer depends on the round.
    """
    accepted = [Accepted(initial, 1.0)]
    refused: list[T] = []
    tried: set[tuple[float, float]] = set()
    for _ in range(config.rounds):
        exemplars = [a.item for a in _surest(accepted, config.exemplars)]
        proposals = sorted(steps.propose(exemplars), key=lambda p: -p.confidence)
        known = [a.item for a in accepted] + refused
        fresh = [
            p
            for p in proposals
            if p.confidence >= config.confidence
            and (p.x, p.y) not in tried
            and not any(steps.holds(item, p.x, p.y) for item in known)
        ]
        sure = sum(p.confidence >= config.sure for p in fresh)
        fresh = fresh[: max(sure, config.clicks_per_round)]
        if not fresh:
            break
        tried.update((p.x, p.y) for p in fresh)
        found = steps.segment([(p.x, p.y) for p in fresh])
        masked = [(p, item) for p, item in zip(fresh, found, strict=True) if item is not None]
        similar = (
            steps.similarity([item for _, item in masked])
            if config.verify and masked
            else [1.0] * len(masked)
        )
        before = len(accepted)
        for (proposal, item), alike in zip(masked, similar, strict=True):
            if any(steps.overlap(item, a.item) > config.overlap for a in accepted):
                continue
            if config.verify and alike < config.similarity:
                refused.append(item)
                continue
            sureness = alike if config.verify else proposal.confidence
            accepted.append(Accepted(item, sureness * steps.score(item), alike, proposal.confidence))
        if len(accepted) == before:
            break
    return accepted


def _surest(accepted: Sequence[Accepted[T]], count: int) -> list[Accepted[T]]:
    """The clicked object and the surest others, ``count`` in all."""
    return [accepted[0], *sorted(accepted[1:], key=lambda a: -a.confidence)[: max(count - 1, 0)]]
