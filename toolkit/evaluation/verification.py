"""Pairs of objects of one photo: how well a system tells siblings from others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import InputError, UnsupportedSystem
from toolkit.evaluation.clicking import EXACT, Aim, random_of
from toolkit.evaluation.curves import Curve, precision_recall, roc
from toolkit.evaluation.photos import Protocol, measure_with_report
from toolkit.evaluation.plots import pair_figures
from toolkit.evaluation.tables import verification_tables
from toolkit.evaluation.truth import ObjectTruth, PhotoTruth, mask_of
from toolkit.report import write_result
from toolkit.split import Split
from toolkit.systems import Scene, System, VerifyingScene

Results = Sequence[tuple[PhotoTruth, dict[str, Any]]]
MOST_OBJECTS = 40
SIMILARITY = 0.5  # SimpSON, section 3.3


def run_verification(
    split: Split,
    system: System,
    out: Path,
    *,
    aim: Aim = EXACT,
    limit: int | None = None,
    seed: int = 0,
    most: int = MOST_OBJECTS,
    similarity: float = SIMILARITY,
) -> dict[str, Any]:
    """Compare the objects of each photo in pairs; write the result into `out`.

    Every object with a `group_id` is clicked, and each found one compared with each other found one, in both
    directions. A pair is positive when both have the same `group_id`. Objects without one are left out, since
    nobody said what they are like; crowds are, too.

    Args:
        split: photos and annotations with `group_id`.
        system: what is measured; its scenes answer `similarities`.
        out: folder of result.json, table.md, verification.png and report.json; runs again where it stopped.
        aim: how exactly objects are clicked.
        limit: measure that many photos only, drawn with `seed`.
        seed: of the draws and of inexact clicks.
        most: objects of a photo that are compared, drawn with `seed`, so that no photo outweighs the others.
        similarity: at which accuracy, precision and recall are given.

    Returns:
        What result.json holds; see `score_verification`.

    Raises:
        InputError: no photo has two objects with a `group_id`, or the system compares nothing.
    """
    if most < 2:
        raise InputError(f"objects: expected at least 2, got {most}")
    settings: dict[str, Any] = {"seed": seed, "jitter": aim.jitter, "human": aim.human, "most_objects": most}
    protocol = Protocol(
        name="verification",
        settings=settings,
        applies=lambda truth: len(_grouped(truth)) > 1,
        measure=partial(compare_objects, aim=aim, seed=seed, most=most),
        nothing_found=lambda truth: {"groups": [], "missed": len(_chosen(truth, seed, most)), "alike": []},
    )
    results = measure_with_report(protocol, split, system, out, limit=limit, **settings)
    figures, curves = score_verification(results, similarity)
    result = {"system": system.name, **settings, **figures}
    write_result(out, result, verification_tables(result), pair_figures(*curves))
    return result


def _grouped(truth: PhotoTruth) -> list[ObjectTruth]:
    return [found for found in truth.objects_to_find() if found.group is not None]


def _chosen(truth: PhotoTruth, seed: int, most: int) -> list[ObjectTruth]:
    objects = _grouped(truth)
    if len(objects) <= most:
        return objects
    picked = random_of(seed, truth.record.id).permutation(len(objects))[:most]
    return [objects[index] for index in sorted(picked)]


def compare_objects(scene: Scene, truth: PhotoTruth, aim: Aim, seed: int, most: int) -> dict[str, Any]:
    """Compare the objects of an encoded photo; returns its record, in which objects missed have no row."""
    if not isinstance(scene, VerifyingScene):
        raise UnsupportedSystem("this system compares no objects; use one that has similarities")
    objects = _chosen(truth, seed, most)
    clicks = []
    for found in objects:
        mask = mask_of(found)
        clicks.append(aim.spot(mask, random_of(seed, truth.record.id, found.id)))
    alike = np.asarray(scene.similarities(clicks), np.float64)
    if alike.shape != (len(clicks), len(clicks)):
        raise InputError(f"similarities: expected [{len(clicks)}, {len(clicks)}], got {list(alike.shape)}")
    seen = [index for index in range(len(objects)) if np.isfinite(alike[index]).any()]
    rows = [[None if np.isnan(value) else round(float(value), 6) for value in alike[i, seen]] for i in seen]
    groups = [objects[index].group for index in seen]
    return {"groups": groups, "missed": len(objects) - len(seen), "alike": rows}


def pairs_of(record: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return similarities, float [P], and whether both are siblings, bool [P], of all ordered pairs."""
    groups = np.array(record["groups"])
    alike = np.array(record["alike"], np.float64).reshape(len(groups), len(groups))
    counted = np.isfinite(alike) & ~np.eye(len(groups), dtype=bool)
    return alike[counted], (groups[:, None] == groups[None])[counted]


def score_verification(
    results: Results, similarity: float = SIMILARITY
) -> tuple[dict[str, Any], tuple[Curve, Curve]]:
    """Turn the records of all photos into the flat result.

    Returns:
        (result, (ROC, precision over recall)). The result has n (pairs, in both directions), positives,
        images, missed (objects that the system did not find), auc_roc, auc_pr, and at the similarity
        precision, recall, false_positive_rate, and accuracy, to which positive and negative pairs contribute
        half each. Fractions of 1; None with nothing to average.
    """
    pairs = [pairs_of(record) for _, record in results]
    scores = np.concatenate([values for values, _ in pairs])
    same = np.concatenate([labels for _, labels in pairs]).astype(bool)
    over_false, over_recall = roc(scores, same), precision_recall(scores, same, int(same.sum()))
    yes = scores >= similarity
    recall, wrong = _share(yes & same, same), _share(yes & ~same, ~same)
    accuracy = None if recall is None or wrong is None else (recall + 1 - wrong) / 2
    result = {
        "n": len(scores),
        "positives": int(same.sum()),
        "images": len(results),
        "missed": sum(record["missed"] for _, record in results),
        "auc_roc": over_false.area,
        "auc_pr": over_recall.area,
        "similarity": similarity,
        "precision": _share(yes & same, yes),
        "recall": recall,
        "false_positive_rate": wrong,
        "accuracy": accuracy,
    }
    return result, (over_false, over_recall)


def _share(part: np.ndarray, whole: np.ndarray) -> float | None:
    return float(part.sum() / whole.sum()) if whole.any() else None
