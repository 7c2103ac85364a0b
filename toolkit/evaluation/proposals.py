"""Clicks that a system proposes for one exemplar: how many fall on siblings, and how sure it is of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.clicks import Click
from toolkit.errors import InputError, UnsupportedSystem
from toolkit.evaluation.clicking import EXACT, Aim, random_of
from toolkit.evaluation.curves import Curve, precision_recall
from toolkit.evaluation.groups import clicked_sibling
from toolkit.evaluation.photos import Protocol, measure_with_report
from toolkit.evaluation.plots import curve_figure
from toolkit.evaluation.tables import proposal_tables
from toolkit.evaluation.truth import ObjectTruth, PhotoTruth, mask_of
from toolkit.metrics import bootstrap_ratio
from toolkit.report import write_result
from toolkit.split import Split
from toolkit.systems import ProposingScene, Scene, System

Results = Sequence[tuple[PhotoTruth, dict[str, Any]]]
MOST_CLICKS = 100
CONFIDENCE = 0.2  # SimpSON, section 3.2: τ


def run_proposals(
    split: Split,
    system: System,
    out: Path,
    *,
    aim: Aim = EXACT,
    limit: int | None = None,
    seed: int = 0,
    most: int = MOST_CLICKS,
    confidence: float = CONFIDENCE,
) -> dict[str, Any]:
    """Ask for clicks on the siblings of one clicked object per group; write the result into `out`.

    For every group of two and more one sibling, drawn with `seed`, is clicked. In the order of confidence, a
    proposed click is right when it falls inside another sibling that no click fell into before; a second
    click on a sibling is wrong. Clicks on the clicked object itself, and on crowds, count neither way.

    Args:
        split: photos and annotations with `group_id`.
        system: what is measured; its scenes answer `propose_clicks`.
        out: folder of result.json, table.md, proposals.png and report.json; runs again where it stopped.
        aim: how exactly the exemplar is clicked.
        limit: measure that many photos only, drawn with `seed`.
        seed: of the draws and of inexact clicks.
        most: clicks per exemplar that are asked for.
        confidence: at which precision and recall are given besides the area under their curve.

    Returns:
        What result.json holds; see `score_proposals`.

    Raises:
        InputError: the split has no groups of two and more, or the system proposes no clicks.
    """
    settings: dict[str, Any] = {"seed": seed, "jitter": aim.jitter, "human": aim.human, "most_clicks": most}
    if most < 1:
        raise InputError(f"clicks: expected at least 1, got {most}")
    protocol = Protocol(
        name="proposals",
        settings=settings,
        applies=lambda truth: bool(_groups(truth)),
        measure=partial(propose_for_groups, aim=aim, seed=seed, most=most),
        nothing_found=lambda truth: {"groups": [_entry(group) for group in _groups(truth)]},
    )
    results = measure_with_report(protocol, split, system, out, limit=limit, **settings)
    figures, curve = score_proposals(results, confidence, seed)
    result = {"system": system.name, **settings, **figures}
    write_result(out, result, proposal_tables(result), {"proposals": curve_figure({"clicks": curve})})
    return result


def _groups(truth: PhotoTruth) -> dict[int, list[ObjectTruth]]:
    """Groups in which there is something to find besides the clicked object."""
    groups = truth.groups()
    return {g: members for g, members in groups.items() if sum(not m.crowd for m in members) > 1}


def _entry(group: int, target: int | None = None, verdicts: Sequence[Sequence[float]] = ()) -> dict[str, Any]:
    return {"group": group, "target": target, "clicks": [list(verdict) for verdict in verdicts]}


def propose_for_groups(scene: Scene, truth: PhotoTruth, aim: Aim, seed: int, most: int) -> dict[str, Any]:
    """Click one member of each group of an encoded photo; returns the photo's record."""
    if not isinstance(scene, ProposingScene):
        raise UnsupportedSystem("this system proposes no clicks; use one that has propose_clicks")
    groups = []
    for group, siblings in _groups(truth).items():
        rng = random_of(seed, truth.record.id, group)
        target, click = clicked_sibling(siblings, aim, rng)
        others = [mask_of(m) for m in siblings if m is not target and not m.crowd]
        neutral = [mask_of(m) for m in siblings if m is target or m.crowd]
        verdicts = judge_clicks(scene.propose_clicks(click, most), others, neutral)
        groups.append(_entry(group, target.id, verdicts))
    return {"groups": groups}


def judge_clicks(
    proposed: Sequence[tuple[Click, float]],
    siblings: Sequence[np.ndarray],
    neutral: Sequence[np.ndarray] = (),
) -> list[tuple[float, int]]:
    """Tell right clicks from wrong ones, the surest first.

    Args:
        proposed: clicks with confidences.
        siblings: bool [H, W] each; a right click falls inside one that no surer click fell into. Where
            siblings overlap, the smallest that is left.
        neutral: bool [H, W] each; clicks inside, and inside no sibling, are left out.

    Returns:
        (confidence, 1 for right or 0 for wrong) of each click that counts.
    """
    left = list(range(len(siblings)))
    verdicts = []
    for click, confidence in sorted(proposed, key=lambda pair: -pair[1]):
        hit = [index for index in left if _holds(siblings[index], click)]
        if hit:
            left.remove(min(hit, key=lambda index: int(siblings[index].sum())))
        elif not any(_holds(m, click) for m in siblings) and any(_holds(m, click) for m in neutral):
            continue
        verdicts.append((float(confidence), int(bool(hit))))
    return verdicts


def _holds(mask: np.ndarray, click: Click) -> bool:
    return bool(mask[click.row, click.column])


def score_proposals(
    results: Results, confidence: float = CONFIDENCE, seed: int = 0
) -> tuple[dict[str, Any], Curve]:
    """Turn the records of all photos into the flat result.

    Returns:
        (result, precision over recall of all clicks together). The result has n (groups), images, siblings
        (to find), clicks (that count), auc_pr, and at the confidence precision, recall and f1, precision and
        recall with 95 % intervals (…_ci_low, …_ci_high; bootstrap over photos). Fractions of 1.
    """
    sought, right, chosen, verdicts = [], [], [], []
    for truth, record in results:
        groups = _groups(truth)
        wanted = [sum(not m.crowd for m in groups[entry["group"]]) - 1 for entry in record["groups"]]
        own = [tuple(verdict) for entry in record["groups"] for verdict in entry["clicks"]]
        sought.append(sum(wanted))
        sure = [hit for score, hit in own if score >= confidence]
        right.append(sum(sure))
        chosen.append(len(sure))
        verdicts += own
    scores, hits = [score for score, _ in verdicts], [hit for _, hit in verdicts]
    curve = precision_recall(scores, hits, sum(sought))
    precision = sum(right) / sum(chosen) if sum(chosen) else None
    recall = sum(right) / sum(sought)
    result: dict[str, Any] = {
        "n": sum(len(record["groups"]) for _, record in results),
        "images": len(results),
        "siblings": sum(sought),
        "clicks": len(verdicts),
        "auc_pr": curve.area,
        "confidence": confidence,
        "precision": precision,
        "recall": recall,
        "f1": 2 * sum(right) / (sum(chosen) + sum(sought)),
    }
    for name, counted in (("precision", chosen), ("recall", sought)):
        low, high = bootstrap_ratio(right, counted, seed=seed) or (None, None)
        result |= {f"{name}_ci_low": low, f"{name}_ci_high": high}
    return result, curve
