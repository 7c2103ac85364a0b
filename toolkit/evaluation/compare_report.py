"""The table and the plot of `declutter eval compare`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.evaluation.tables import markdown_table, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Figures = Mapping[str, Any]


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _clicks(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _scaled(unit: float) -> Callable[[float | None], str]:
    return lambda value: "–" if value is None else f"{value / unit:.2f}"


Row = tuple[str, str, Callable[[Any], str]]
# What a row is called, its key among the figures, how it is written.
_ROWS: tuple[Row, ...] = (
    ("objects", "n", _count),
    ("mIoU, 1 click", "miou", percent),
    ("… small", "miou_small", percent),
    ("… medium", "miou_medium", percent),
    ("… large", "miou_large", percent),
    ("AP, 1 click", "ap", percent),
    ("mIoU, 5 clicks", "miou_5", percent),
    ("mIoU, 10 clicks", "miou_10", percent),
    ("mIoU, 20 clicks", "miou_20", percent),
    ("NoC@85", "noc_85", _clicks),
    ("NoC@90", "noc_90", _clicks),
    ("NoC@95", "noc_95", _clicks),
    ("NoF@85", "nof_85", _count),
    ("NoF@90", "nof_90", _count),
    ("seconds per object to IoU 85", "mean_time_85", _seconds),
    ("seconds per object to IoU 90", "mean_time_90", _seconds),
    ("seconds per object to IoU 95", "mean_time_95", _seconds),
    ("seconds, first click", "seconds_first", _seconds),
    ("seconds, later click", "seconds_later", _seconds),
    ("parameters (M)", "parameters", _scaled(1e6)),
    ("GFLOPs, first click", "flops_first", _scaled(1e9)),
    ("GFLOPs, later click", "flops_later", _scaled(1e9)),
)
_EFFORT: tuple[Row, ...] = (
    ("collective NoC@85", "collective_noc_85", _clicks),
    ("collective NoC@90", "collective_noc_90", _clicks),
    ("collective NoF@85", "collective_nof_85", _count),
    ("collective NoF@90", "collective_nof_90", _count),
    ("additional NoC@85", "additional_noc_85", _clicks),
    ("additional NoC@90", "additional_noc_90", _clicks),
    ("additional NoFI@85", "additional_nofi_85", _count),
    ("additional NoFI@90", "additional_nofi_90", _count),
    ("additional mIoU, 1 click", "additional_miou_1", percent),
    ("additional mIoU, 5 clicks", "additional_miou_5", percent),
    ("additional mIoU, 10 clicks", "additional_miou_10", percent),
)


def comparison_table(systems: Mapping[str, Figures]) -> str:
    """Return one table, a column per system (by label), and what its rows mean.

    Args:
        systems: figures as `measure_system` returns them; rows that nobody has a figure for are left out.
    """
    rows = [*_ROWS]
    for prefix, what in (("one_", "siblings one by one"), ("all_", "siblings at once")):
        rows += [(f"{what}: {name}", prefix + key, write) for name, key, write in _EFFORT]
    cells = []
    for name, key, write in rows:
        values = [figures.get(key) for figures in systems.values()]
        if any(value is not None for value in values):
            cells.append([name, *(write(value) for value in values)])
    return markdown_table(["", *systems], cells) + "\n\n" + _legend(next(iter(systems.values()))) + "\n"


def _legend(figures: Figures) -> str:
    rule = "positive clicks only" if figures["positive_only"] else "positive and negative clicks"
    aim = f"jitter {figures['jitter']:g}" if figures["jitter"] else "centres"
    text = (
        f"At most {figures['most_clicks']} {rule} ({aim}); percentages but for counts, clicks and seconds. "
    )
    if figures["ritm_nof"]:
        text += "NoF as RITM counts it: success with the last click is a failure. "
    text += "Seconds per object: encoding and all clicks up to that IoU, all of them where none reaches it "
    text += (
        "(EMC-Click, table 2). Collective effort counts the exemplar, additional effort what is left once "
    )
    text += "its true mask is given; NoFI are photos (iCMFormer++, tables 3 and 4). GFLOPs count what torch "
    return text + f"computes on a photo of {figures['flops_width']} × {figures['flops_height']} pixels."


def comparison_figures(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Figure]:
    """Return "compare": mean IoU over clicks, and over the seconds of work that they took.

    Args:
        curves: by label, mean IoU and mean seconds so far, float [clicks] each.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    figure = Figure(figsize=(12.5, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    most = max(len(ious) for ious, _ in curves.values())
    for label, (ious, seconds) in curves.items():
        left.plot(np.arange(1, len(ious) + 1), ious, marker=".", label=label)
        right.plot(seconds, ious, marker=".", label=label)
    left.set_xticks(_ticks(most))
    left.set_xlabel("clicks")
    left.set_ylabel("mean IoU")
    right.set_xscale("log")
    right.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    right.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    right.xaxis.set_minor_formatter(NullFormatter())
    right.set_xlabel("seconds of work per object, encoding included")
    left.set_ylim(0, 1.02)
    figure.legend(*left.get_legend_handles_labels(), loc="outside right center")  # curves fill the axes
    for axes in (left, right):
        axes.grid(alpha=0.3)
    return {"compare": figure}


def _ticks(most: int) -> Sequence[int]:
    return range(1, most + 1) if most <= 20 else range(1, most + 1, 5)
