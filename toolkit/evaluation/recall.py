"""Several objects of a kind in one photo: what is left to click once the exemplar, one of them, is selected.

Source: iCMFormer++ (Li et al., 2024, "Learning from Exemplars for Interactive Image Segmentation"),
section 4.4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.clicks import Click
from toolkit.data.mois_clicks import ClickRules, sample_exemplar_clicks
from toolkit.evaluation.clicking import random_of
from toolkit.evaluation.clicks import ClickProtocol, trace_clicks
from toolkit.evaluation.effort import GroupEffort
from toolkit.evaluation.photos import Protocol, measure_with_report
from toolkit.evaluation.truth import ObjectTruth, PhotoTruth, mask_of
from toolkit.exemplars import Exemplar, exemplar_from_json, part_negatives
from toolkit.selection import Instance
from toolkit.split import Split
from toolkit.systems import ExemplarScene, Scene, System

Results = Sequence[tuple[PhotoTruth, dict[str, Any]]]
# Section 4.4.2: "we restricted the maximum number of clicks to five and stopped adding more clicks if the
# improved IoU was less than 1% in the next click".
EXEMPLAR_CLICKS = 5
LEAST_GAIN = 0.01


def run_recall_records(
    split: Split, system: System, out: Path, clicking: ClickProtocol, *, photos: Container[int], seed: int
) -> list[tuple[PhotoTruth, dict[str, Any]]]:
    """Click what is left of every group of two and more objects; write records and report.json into `out`.

    All systems click all other objects as one mask. A system whose scenes learn from exemplars gets one where
    its `recalls` fits ("all", or "one": it then clicks the other objects one by one too); once its own mask
    of the exemplar, and once the true one.

    Args:
        split: photos and annotations with `group_id`.
        system: what is measured.
        out: folder of the records.
        clicking: how masks are clicked.
        photos: ids of those to look at.
        seed: of the exemplars and of inexact clicks.

    Returns:
        Photos with such groups, and for each group: the exemplar's id, and under "one" and "all" the IoU
        after each click, "collective" and "additional" (see `GroupEffort`); "one" only where the scene
        recalls one.
    """
    protocol = Protocol(
        name="recall",
        settings={**clicking.settings, "seed": seed},
        applies=lambda truth: truth.record.id in photos and bool(several(truth)),
        measure=partial(recall_groups, clicking=clicking, seed=seed),
        nothing_found=partial(_nothing, clicking=clicking, seed=seed),
    )
    return measure_with_report(protocol, split, system, out, seed=seed, **clicking.settings)


def several(truth: PhotoTruth) -> dict[int, list[ObjectTruth]]:
    """Return the groups of a photo in which there are two objects or more to click."""
    groups = {
        group: [found for found in siblings if not found.crowd] for group, siblings in truth.groups().items()
    }
    return {group: siblings for group, siblings in groups.items() if len(siblings) > 1}


def pick_exemplar(truth: PhotoTruth, group: int, siblings: Sequence[ObjectTruth], seed: int) -> int:
    """Return the place of the exemplar among siblings: the one that is marked on file, else a random one."""
    marked = [index for index, found in enumerate(siblings) if found.exemplar is not None]
    return marked[0] if marked else int(random_of(seed, truth.record.id, group).integers(len(siblings)))


def recall_groups(scene: Scene, truth: PhotoTruth, clicking: ClickProtocol, seed: int) -> dict[str, Any]:
    """Click what is left of each group of an encoded photo; returns the photo's record."""
    groups = []
    for group, siblings in several(truth).items():
        place = pick_exemplar(truth, group, siblings, seed)
        masks = [mask_of(found) for found in siblings]
        chosen, others = masks[place], [mask for index, mask in enumerate(masks) if index != place]
        rng = random_of(seed, truth.record.id, group, 1)
        targets = {"all": [np.logical_or.reduce(others)]}
        if isinstance(scene, ExemplarScene) and scene.recalls == "one":
            targets["one"] = others
        entry: dict[str, Any] = {"group": group, "exemplar": siblings[place].id}
        for what, wanted in targets.items():
            if isinstance(scene, ExemplarScene) and scene.recalls == what:
                own = own_exemplar(scene, chosen, others, clicking, rng)
                given = true_exemplar(siblings[place], chosen, others, rng)
                entry[what] = {
                    "collective": _click_all(_helped(scene, own), wanted, clicking, rng),
                    "additional": _click_all(_helped(scene, given), wanted, clicking, rng),
                }
            else:
                ious = _click_all(scene.segment, wanted, clicking, rng)
                entry[what] = {"collective": ious, "additional": ious}
        groups.append(entry)
    return {"groups": groups}


def own_exemplar(
    scene: Scene,
    mask: np.ndarray,
    siblings: Sequence[np.ndarray],
    clicking: ClickProtocol,
    rng: np.random.Generator,
) -> Exemplar | None:
    """Let the system segment the exemplar: at most 5 clicks, and none that gains less than 1 % IoU.

    Args:
        scene: the encoded photo.
        mask: bool [H, W], the true one.
        siblings: masks of the other objects of its kind.
        clicking: how it is clicked.
        rng: of inexact clicks.

    Returns:
        What the system made of it; None where it found nothing.
    """
    answers: list[tuple[tuple[Click, ...], Instance | None]] = []

    def segment(clicks: Sequence[Click]) -> Instance | None:
        answers.append((tuple(clicks), scene.segment(clicks)))
        return answers[-1][1]

    few = ClickProtocol(min(EXEMPLAR_CLICKS, clicking.most), clicking.positive_only, clicking.aim)
    ious = trace_clicks(segment, mask, few, rng).ious
    clicks, answer = answers[worthwhile_clicks(ious[: len(answers)]) - 1]
    if answer is None:
        return None
    kept, pseudo = part_negatives(clicks, siblings)
    return Exemplar(answer.mask, kept, pseudo)


def worthwhile_clicks(ious: Sequence[float]) -> int:
    """Return how many clicks an exemplar gets: up to the first whose successor gains less than 1 % IoU."""
    for made in range(1, len(ious)):
        if ious[made] - ious[made - 1] < LEAST_GAIN:
            return made
    return len(ious)


def true_exemplar(
    found: ObjectTruth, mask: np.ndarray, siblings: Sequence[np.ndarray], rng: np.random.Generator
) -> Exemplar:
    """Return the exemplar's true mask, with the clicks on file, else with simulated ones."""
    if found.exemplar is not None:
        return exemplar_from_json(found.exemplar, mask)
    kept, pseudo = part_negatives(sample_exemplar_clicks(mask, siblings, ClickRules(), rng), siblings)
    return Exemplar(mask, kept, pseudo)


def efforts_of(results: Results, clicked: Results, what: str, seed: int) -> list[GroupEffort]:
    """Return the efforts for all groups.

    Args:
        results: of `run_recall_records`.
        clicked: photos and records of `eval clicks`.
        what: "all" other objects as one mask, or "one" after the other: from `clicked`, where the system
            learns nothing from exemplars for that.
        seed: of the exemplars.
    """
    recalled = {truth.record.id: record["groups"] for truth, record in results}
    groups = []
    for truth, record in clicked:
        ious = {entry["id"]: np.array(entry["ious"][0]) for entry in record["objects"]}
        known = {entry["group"]: entry for entry in recalled.get(truth.record.id, ())}
        for group, siblings in several(truth).items():
            entry = known.get(group, {})
            exemplar = siblings[pick_exemplar(truth, group, siblings, seed)].id
            if what in entry:
                parts = [np.array(entry[what][part]) for part in ("collective", "additional")]
            elif what == "one":
                parts = [np.stack([ious[found.id] for found in siblings if found.id != exemplar])] * 2
            else:
                continue
            groups.append(GroupEffort(truth.record.id, ious[exemplar], *parts))
    return groups


def _click_all(
    segment: Callable[[Sequence[Click]], Instance | None],
    masks: Sequence[np.ndarray],
    clicking: ClickProtocol,
    rng: np.random.Generator,
) -> list[list[float]]:
    return [trace_clicks(segment, mask, clicking, rng).ious for mask in masks]


def _helped(scene: ExemplarScene, exemplar: Exemplar | None) -> Callable[[Sequence[Click]], Instance | None]:
    if exemplar is None:
        return scene.segment
    return lambda clicks: scene.segment_like(clicks, [exemplar])


def _nothing(truth: PhotoTruth, clicking: ClickProtocol, seed: int) -> dict[str, Any]:
    groups = []
    for group, siblings in several(truth).items():
        exemplar = siblings[pick_exemplar(truth, group, siblings, seed)].id
        ious = [[0.0] * clicking.most]
        groups.append({"group": group, "exemplar": exemplar, "all": {"collective": ious, "additional": ious}})
    return {"groups": groups}
