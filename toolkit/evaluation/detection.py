"""One click per object, with and without click embedding: average precision side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.evaluation.coco_ap import PrecisionRecall, detections_that_count
from toolkit.evaluation.one_click import run_one_click_records, score_one_click
from toolkit.evaluation.plots import detection_figures
from toolkit.evaluation.tables import detection_tables
from toolkit.report import write_result
from toolkit.split import Split
from toolkit.systems import System, VariableSystem

FIGURES = ("ap", "ap_small", "ap_medium", "ap_large", "ar", "ap50", "ap75", "miou")


def run_detection(
    split: Split,
    system: System,
    out: Path,
    baseline: System | None = None,
    *,
    limit: int | None = None,
    seed: int = 0,
    jitter: float = 0.0,
    max_detections: int | None = None,
) -> dict[str, Any]:
    """Click each object once in a system and in its click-free baseline; write the result into `out`.

    Both get the same clicks. In the baseline they are no input: they choose, of the objects that it finds by
    itself, the best one that holds the click (SimpSON, section 5.2).

    Args:
        split: photos and annotations.
        system: what is measured.
        out: folder of result.json, table.md, detection.png, and of a report.json of both; runs again where
            it stopped.
        baseline: the same system trained without click embedding; by default the system itself with the
            clicks withheld from its networks, which were not trained for that.
        limit: measure that many photos only, drawn with `seed`.
        seed: of the draw and of the jitter.
        jitter: spread of the clicks around the objects' centres.
        max_detections: per photo that count for AP and AR; None: 100, or 300 in a split of LVIS, whose AP and
            AR are LVISEval's.

    Returns:
        What result.json holds: n, images, max_detections, ap, ap_small … ar, ap50, ap75, miou, the same with
        the beginning baseline_, and gain_ap … (their differences). Fractions of 1; None with nothing to
        average.

    Raises:
        InputError: nothing in the split can be measured, or there is no baseline.
    """
    withheld = baseline is None
    if baseline is None:
        if not isinstance(system, VariableSystem):
            raise InputError("--baseline: this system can't withhold clicks from its networks; name one")
        baseline = system.without_clicks()
    counted, lvis = detections_that_count(split, max_detections)
    scores: dict[str, tuple[dict[str, Any], PrecisionRecall]] = {}
    for name, measured in (("with", system), ("without", baseline)):
        folder = out / f"{name}-clicks"
        records = run_one_click_records(split, measured, folder, limit=limit, seed=seed, jitter=jitter)
        scores[name] = score_one_click(records, counted, seed, lvis)
    own, other = scores["with"][0], scores["without"][0]
    result: dict[str, Any] = {
        "system": system.name,
        "baseline": f"{baseline.name}, clicks withheld" if withheld else baseline.name,
        **{f"backbone{end}": _backbone(s) for end, s in (("", system), ("_baseline", baseline))},
        "jitter": jitter,
        **{key: own[key] for key in ("n", "images", "max_detections", "ap_rules", *FIGURES)},
        **{f"baseline_{key}": other[key] for key in FIGURES},
        **{f"gain_{key}": _difference(own[key], other[key]) for key in FIGURES},
    }
    curves = {"with clicks": scores["with"][1], "without": scores["without"][1]}
    write_result(out, result, detection_tables(result), detection_figures(curves))
    return result


def _backbone(system: System) -> str:
    switches: Mapping[str, Any] = system.switches if isinstance(system, VariableSystem) else {}
    return str(switches.get("Backbone", system.name))


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
