"""Several systems on one split: the published protocols of clicking, side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import InputError
from toolkit.evaluation.clicking import Aim
from toolkit.evaluation.clicks import MOST_CLICKS, ClickProtocol, run_click_records, score_clicks
from toolkit.evaluation.coco_ap import detections_that_count
from toolkit.evaluation.compare_report import comparison_figures, comparison_table
from toolkit.evaluation.costs import measure_costs
from toolkit.evaluation.effort import mean_curves, score_groups, score_times
from toolkit.evaluation.one_click import run_one_click_records, score_one_click
from toolkit.evaluation.photos import SYSTEM_FAILED
from toolkit.evaluation.recall import efforts_of, run_recall_records, several
from toolkit.evaluation.records import RecordFile, key_of
from toolkit.evaluation.truth import PhotoTruth, mask_of
from toolkit.report import Report, write_result
from toolkit.split import Split
from toolkit.systems import System, fingerprint_of

_PROTOCOLS = ("one-click", "clicks", "recall")
_ONE_CLICK = (
    "miou", "miou_small", "miou_medium", "miou_large", "miou_ci_low", "miou_ci_high", "success_50",
    "success_85", "ap", "ar", "ap_rules", "max_detections",
)  # fmt: skip


@dataclass(frozen=True)
class CompareSettings:
    """What all systems share.

    Attributes:
        limit: measure that many photos only, drawn with `seed`.
        seed: of the draws and of inexact clicks.
        jitter: see `Aim`.
        most: clicks per object.
        positive_only: see `ClickProtocol`.
        ritm_nof: see `failures`.
    """

    limit: int | None = None
    seed: int = 0
    jitter: float = 0.0
    most: int = MOST_CLICKS
    positive_only: bool = False
    ritm_nof: bool = False

    @property
    def clicking(self) -> ClickProtocol:
        """How objects are clicked.

        Raises:
            InputError: in no sensible way.
        """
        return ClickProtocol(self.most, self.positive_only, Aim(self.jitter))


@dataclass(frozen=True)
class Measured:
    """A system's figures and its curve.

    Attributes:
        figures: flat, as in its result.json.
        ious: float [clicks], mean IoU after each click.
        seconds: float [clicks], mean seconds of work until that click is answered, encoding included.
    """

    figures: dict[str, Any]
    ious: np.ndarray
    seconds: np.ndarray


def run_compare(
    split: Split, systems: Mapping[str, System], out: Path, settings: CompareSettings | None = None
) -> dict[str, Any]:
    """Run the protocols of clicking with each system; write one table and one plot into `out`.

    Every object is clicked once (as by `eval one-click`) and again and again (`eval clicks`); where a photo
    has several of a kind, what is left besides one of them is clicked too (`run_recall_records`). Runs again
    where it stopped. A system that fails on every photo is left out, and named in report.json.

    Args:
        split: photos and annotations; the effort for several objects needs `group_id`.
        systems: by the label that each has in the table; labels are names of folders.
        out: folder of result.json (all systems), table.md, compare.png, report.json, and of a folder per
            label with its own result.json, table.md and records.
        settings: what all systems share.

    Returns:
        What result.json holds: systems (how many), labels, and `LABEL_figure` for each; see `measure_system`.

    Raises:
        InputError: there is no system, or none could be measured.
    """
    settings = settings or CompareSettings()
    if not systems:
        raise InputError("systems: expected at least one")
    report = Report(command="eval compare", split=str(split.root), seed=settings.seed, limit=settings.limit)
    report.facts |= settings.clicking.settings
    report.facts["folders"] = {label: str(out / label) for label in systems}
    measured: dict[str, Measured] = {}
    try:
        for label, system in systems.items():
            try:
                measured[label] = measure_system(split, label, system, out / label, settings)
                _pass_on(out / label, label, report)
            except InputError as error:
                report.add_skipped(f"system {label}", str(error))
    finally:
        report.write(out / "report.json")
    if not measured:
        raise InputError(f"no system could be measured; the first: {' — '.join(report.skipped[0])}")
    result: dict[str, Any] = {
        "split": str(split.root),
        "systems": len(measured),
        "labels": ", ".join(measured),
    }
    for label, one in measured.items():
        result |= {f"{label}_{key}": value for key, value in one.figures.items()}
    table = comparison_table({label: one.figures for label, one in measured.items()})
    figures = comparison_figures({label: (one.ious, one.seconds) for label, one in measured.items()})
    write_result(out, result, table, figures)
    return result


def measure_system(
    split: Split, label: str, system: System, out: Path, settings: CompareSettings
) -> Measured:
    """Run the protocols with one system; write its result.json and table.md into `out`.

    Returns:
        The figures are all of `eval clicks` (n, noc_…, nof_…, miou_1 …); of one click miou, miou_small …, ap,
        ar, success_50, success_85 (multi-stage fusion, tables 1 to 3: mIoU of one click); the times (see
        `score_times`); the effort for several objects of a kind (see `score_groups`) under one_… for the
        siblings one by one and all_… for all of them as one mask; the costs (see `measure_costs`).

    Raises:
        InputError: nothing in the split can be measured, or the system fails everywhere.
    """
    limit, seed = settings.limit, settings.seed
    once = run_one_click_records(
        split, system, out / "one-click", limit=limit, seed=seed, jitter=settings.jitter
    )
    clicked = run_click_records(split, system, out / "clicks", settings.clicking, limit=limit, seed=seed)
    counted, lvis = detections_that_count(split, None)
    first, _ = score_one_click(once, counted, seed, lvis)
    figures: dict[str, Any] = {"system": system.name, "label": label, **settings.clicking.settings}
    figures |= {**score_clicks(clicked, seed, settings.ritm_nof), **{key: first[key] for key in _ONE_CLICK}}
    figures |= score_times(clicked)
    recalled = []
    if any(several(truth) for truth, _ in clicked):
        photos = {truth.record.id for truth, _ in clicked}
        recalled = run_recall_records(
            split, system, out / "recall", settings.clicking, photos=photos, seed=seed
        )
    for what in ("one", "all"):
        figures |= score_groups(efforts_of(recalled, clicked, what, seed), f"{what}_")
    figures |= _costs(split, system, clicked[0][0], out)
    write_result(out, figures, comparison_table({label: figures}))
    return Measured(figures, *mean_curves(clicked, settings.most))


def _costs(split: Split, system: System, truth: PhotoTruth, out: Path) -> dict[str, Any]:
    """Measure the costs on the first photo's largest object, unless a record has them."""
    found = max(truth.objects_to_find(), key=lambda found: found.area)
    records = RecordFile(out / "costs.jsonl")
    key = key_of("costs", fingerprint_of(system), truth.record.file_name, found.rle)
    kept = records.get(key)
    if kept is None:
        kept = records.add(key, measure_costs(system, split.open_image(truth.record), mask_of(found)))
    return {**kept, "flops_width": truth.record.width, "flops_height": truth.record.height}


def _pass_on(folder: Path, label: str, report: Report) -> None:
    """Add to the report what the protocols of one system left out; what is about the split, once."""
    known = set(report.skipped)
    for protocol in _PROTOCOLS:
        file = folder / protocol / "report.json"
        if not file.is_file():
            continue
        for entry in json.loads(file.read_text(encoding="utf-8"))["skipped"]:
            own = entry["reason"].startswith(SYSTEM_FAILED)
            item = f"{label}, {protocol}: {entry['item']}" if own else entry["item"]
            if (item, entry["reason"]) not in known:
                report.add_skipped(item, entry["reason"])
                known.add((item, entry["reason"]))
