"""Plots of the protocols; matplotlib is imported when one is drawn, and no window is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.evaluation.coco_ap import PrecisionRecall
from toolkit.evaluation.truth import PhotoTruth
from toolkit.metrics import SIZES, size_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from toolkit.evaluation.curves import Curve
    from toolkit.evaluation.groups import GroupScore

# Rows of COCOeval's precision, IoU 0.50 … 0.95 in steps of 0.05.
_CURVES = {"IoU 50": 0, "IoU 75": 5, "IoU 90": 8}


def one_click_figures(
    results: Sequence[tuple[PhotoTruth, dict[str, Any]]], precision_recall: PrecisionRecall
) -> dict[str, Figure]:
    """Return "iou": the fraction of objects that reach an IoU, by size; and precision over recall."""
    ious: dict[str, list[float]] = {"all": [], **{size: [] for size in SIZES}}
    for truth, record in results:
        for found, entry in zip(truth.objects_to_find(), record["objects"], strict=True):
            ious["all"].append(entry["iou"])
            ious[size_of(found.area)].append(entry["iou"])
    figure, (left, right) = _two_axes()
    levels = np.linspace(0, 1, 101)
    for name, values in ious.items():
        if values:
            reached = [(np.asarray(values) >= level).mean() for level in levels]
            left.plot(levels, reached, label=f"{name} ({len(values)})", lw=2.5 if name == "all" else 1.2)
    _finish(left, "IoU after one click", "fraction of objects that reach it")
    _draw_curves(right, precision_recall)
    return {"iou": figure}


def group_figures(scores: Sequence[GroupScore], precision_recall: PrecisionRecall) -> dict[str, Figure]:
    """Return "groups": recall and precision by the size of the group; and precision over recall."""
    bins = {"1": (1, 1), "2": (2, 2), "3–4": (3, 4), "5–9": (5, 9), "10–19": (10, 19), "20+": (20, np.inf)}
    names, recalls, precisions = [], [], []
    for name, (low, high) in bins.items():
        chosen = [score for score in scores if low <= score.siblings <= high]
        if not chosen:
            continue
        matched = sum(score.matched for score in chosen)
        names.append(f"{name}\n({len(chosen)})")
        recalls.append(matched / sum(score.siblings for score in chosen))
        precisions.append(matched / max(1, sum(score.returned for score in chosen)))
    figure, (left, right) = _two_axes()
    places = np.arange(len(names))
    left.bar(places - 0.2, recalls, 0.4, label="recall")
    left.bar(places + 0.2, precisions, 0.4, label="precision")
    left.set_xticks(places, names)
    _finish(left, "siblings in the group (number of groups)", "at IoU 50")
    _draw_curves(right, precision_recall)
    return {"groups": figure}


def click_figures(curves: Mapping[str, np.ndarray]) -> dict[str, Figure]:
    """Return "clicks": mean IoU per number of clicks, float [clicks] by name (SimpSON, figure 5)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 4.5), layout="constrained")
    axes = figure.subplots()
    for index, (name, ious) in enumerate(curves.items()):
        clicks = np.arange(1, len(ious) + 1)
        axes.plot(clicks, ious, marker=".", label=name, lw=2.5 if index == 0 else 1.2)
    axes.set_xticks(np.arange(1, 1 + max(len(ious) for ious in curves.values())))
    _finish(axes, "clicks", "mean IoU")
    return {"clicks": figure}


def detection_figures(systems: Mapping[str, PrecisionRecall]) -> dict[str, Figure]:
    """Return "detection": precision over recall at IoU 50 and 75 of each system (SimpSON, figure 4)."""
    figure, panels = _two_axes()
    for axes, name in zip(panels, ("IoU 50", "IoU 75"), strict=True):
        for label, found in systems.items():
            if found.curves is not None:
                axes.plot(np.linspace(0, 1, 101), found.curves[_CURVES[name]], label=label)
        axes.set_title(name)
        _finish(axes, "recall", "precision")
    return {"detection": figure}


def ablation_figures(
    rows: Sequence[str], figures: Sequence[Mapping[str, float | None]], name: str
) -> dict[str, Figure]:
    """Return a figure under `name`: the figures of all rows of a table, as bars side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(5.0, 1.2 * len(figures[0])), 4.5), layout="constrained")
    axes = figure.subplots()
    places, width = np.arange(len(figures[0])), 0.8 / len(rows)
    for index, (label, values) in enumerate(zip(rows, figures, strict=True)):
        heights = [np.nan if value is None else value for value in values.values()]
        axes.bar(places + (index - (len(rows) - 1) / 2) * width, heights, width, label=label)
    axes.set_xticks(places, list(figures[0]))
    _finish(axes, "", "")
    return {name: figure}


def curve_figure(curves: Mapping[str, Curve], recall: bool = True) -> Figure:
    """Return curves by name, with the areas under them: precision over recall, else ROC."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 4.5), layout="constrained")
    _draw_named(figure.subplots(), curves, recall)
    return figure


def pair_figures(over_false: Curve, over_recall: Curve) -> dict[str, Figure]:
    """Return "verification": ROC, and precision over recall, of pairs."""
    figure, (left, right) = _two_axes()
    _draw_named(left, {"pairs": over_false}, recall=False)
    left.plot([0, 1], [0, 1], ls=":", color="grey")
    _draw_named(right, {"pairs": over_recall}, recall=True)
    return {"verification": figure}


def _draw_named(axes: Axes, curves: Mapping[str, Curve], recall: bool) -> None:
    for name, curve in curves.items():
        area = "–" if curve.area is None else f"{curve.area:.3f}"
        axes.plot(curve.x, curve.y, label=f"{name} (area {area})")
    axes.set_xlim(0, 1)
    if recall:
        _finish(axes, "recall", "precision")
    else:
        _finish(axes, "false positive rate", "true positive rate")


def _two_axes() -> tuple[Figure, Sequence[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    return figure, figure.subplots(1, 2)


def _draw_curves(axes: Axes, precision_recall: PrecisionRecall) -> None:
    recall = np.linspace(0, 1, 101)
    if precision_recall.curves is not None:
        for name, row in _CURVES.items():
            axes.plot(recall, precision_recall.curves[row], label=name)
    _finish(axes, "recall", "precision")


def _finish(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_ylim(0, 1.02)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
