"""How well regions are found: intersection over union per class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synth.photos import open_regions, regions_file
from synth.regions.labels import REGION_NAMES, UNKNOWN
from toolkit.errors import InputError
from toolkit.evaluation.tables import markdown_table, percent, percent_interval, sources_of
from toolkit.metrics import bootstrap_figures
from toolkit.report import Report
from toolkit.split import ImageRecord, Split

CLASSES = len(REGION_NAMES) - 1  # without "unknown"


def confusion(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Count pixels by true and found class; pixels of unknown truth do not count.

    Args:
        truth: uint8 [H, W].
        found: uint8 [H, W]; unknown counts as found wrongly.

    Returns:
        int64 [7, 8]: rows are true classes, columns found ones, the last of them "unknown".
    """
    known = truth != UNKNOWN
    column = np.minimum(found[known], CLASSES).astype(np.int64)
    index = truth[known].astype(np.int64) * (CLASSES + 1) + column
    return np.bincount(index, minlength=CLASSES * (CLASSES + 1)).reshape(CLASSES, CLASSES + 1)


def scores(counts: np.ndarray) -> dict[str, float | None]:
    """Intersection over union per class, their mean, and pixel accuracy; None where a class does not occur.

    Args:
        counts: int64 [7, 8], as `confusion` gives them, summed over photos.
    """
    hits = np.diag(counts[:, :CLASSES]).astype(np.float64)
    union = counts.sum(axis=1) + counts[:, :CLASSES].sum(axis=0) - hits
    result: dict[str, float | None] = {}
    present = counts.sum(axis=1) > 0
    for region in range(CLASSES):
        result[f"iou_{REGION_NAMES[region]}"] = (
            float(hits[region] / union[region]) if present[region] else None
        )
    values = [value for value in result.values() if value is not None]
    total = counts.sum()
    return {
        "miou": float(np.mean(values)) if values else None,
        "accuracy": float(hits.sum() / total) if total else None,
        **result,
    }


@dataclass(frozen=True)
class CountedPhotos:
    """What `confusion` counted in each photo of a split.

    Attributes:
        counts: int64 [photos, 7, 8].
        sources: where each photo comes from.
    """

    counts: np.ndarray
    sources: list[str]


def count_regions(
    extract: Callable[[Sequence[np.ndarray]], list[np.ndarray]], split: Split, report: Report, batch: int = 8
) -> CountedPhotos:
    """Hold an extractor's regions against those of photos whose regions are known.

    Args:
        extract: finds the regions of photos uint8 [H, W, 3]: index maps uint8 [H, W].
        split: the photos; those without a true map, or unreadable, are listed in the report.
        report: where.
        batch: photos at a time.

    Raises:
        InputError: no photo has a true map.
    """
    counts: list[np.ndarray] = []
    sources: list[str] = []
    images: list[np.ndarray] = []
    truths: list[np.ndarray] = []
    for record in (*split, None):
        if record is not None:
            try:
                truths.append(_truth(split, record))
                images.append(split.open_image(record))
                sources.append(record.source or "unknown")
            except InputError as error:
                del truths[len(images) :]
                report.add_skipped(record.file_name, str(error))
        if len(images) >= batch or (record is None and images):
            counts += [confusion(*pair) for pair in zip(truths, extract(images), strict=True)]
            images, truths = [], []
    if not counts:
        raise InputError(f"{split.root}: no photo has a map of its regions to compare with")
    return CountedPhotos(np.stack(counts), sources)


def evaluate_regions(counted: CountedPhotos, seed: int = 0) -> dict[str, Any]:
    """Score what was counted.

    Args:
        counted: of all photos.
        seed: of the bootstrap.

    Returns:
        ``n`` and the `scores` of all photos together, their 95 % intervals (…_ci_low, …_ci_high), and n, miou
        and accuracy of each source (…_source_NAME).
    """
    result: dict[str, Any] = {"n": len(counted.counts), **scores(counted.counts.sum(axis=0))}
    for name, (low, high) in intervals(counted.counts, seed=seed).items():
        result |= {f"{name}_ci_low": low, f"{name}_ci_high": high}
    for source in sorted(set(counted.sources)):
        own = counted.counts[[place == source for place in counted.sources]]
        part = scores(own.sum(axis=0))
        result[f"n_source_{source}"] = len(own)
        result |= {f"{name}_source_{source}": part[name] for name in ("miou", "accuracy")}
    return result


def intervals(
    counts: np.ndarray, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> dict[str, tuple[float | None, float | None]]:
    """Percentile bootstrap intervals of all that `scores` gives; photos are what is drawn.

    Args:
        counts: int64 [photos, 7, 8], as `confusion` gives them for each photo.
        level: of the intervals.
        resamples: how many draws.
        seed: of the draws.

    Returns:
        (low, high) for each figure; None where fewer than two photos say anything about it. Draws in which a
        class does not occur have no figure for it, and their mean is that of the others.
    """
    photos = len(counts)

    def measure(times: np.ndarray) -> dict[str, float | None]:
        return scores((times @ counts.reshape(photos, -1)).reshape(counts.shape[1:]))

    found = bootstrap_figures(photos, measure, level=level, resamples=resamples, seed=seed)
    holding = np.count_nonzero(counts.sum(axis=2), axis=0)  # [7], photos that show each class
    shown = {f"iou_{REGION_NAMES[region]}": holding[region] for region in range(CLASSES)}
    unsure = {name for name in found if shown.get(name, photos) < 2}
    names = ("miou", "accuracy", *shown)
    return {name: (None, None) if name in unsure else found.get(name, (None, None)) for name in names}


def _truth(split: Split, record: ImageRecord) -> np.ndarray:
    path = regions_file(split, record)
    if path is None:
        raise InputError("it has no map of regions")
    return open_regions(path, record.height, record.width)


def region_table(result: dict[str, Any]) -> str:
    """The result as Markdown tables: mean, accuracy and classes with their intervals, and by source."""
    names = [name for name in REGION_NAMES.values() if name != REGION_NAMES[UNKNOWN]]
    keys = ["miou", "accuracy", *(f"iou_{name}" for name in names)]
    header = ["photos", "mIoU", "pixel accuracy", *names]
    rows = [
        [str(result["n"]), *(percent(result[key]) for key in keys)],
        ["95 % interval", *(percent_interval(result, key) for key in keys)],
    ]
    by_source = [
        [
            name,
            str(result[f"n_source_{name}"]),
            *(percent(result[f"{key}_source_{name}"]) for key in keys[:2]),
        ]
        for name in sources_of(result)
    ]
    second = markdown_table(["photos of", "n", "mIoU", "pixel accuracy"], by_source)
    return f"{markdown_table(header, rows)}\n\n{second}\n"


def plot_regions(result: dict[str, Any]) -> Any:
    """A bar per class, as a matplotlib figure."""
    from matplotlib.figure import Figure

    names = [name for name in REGION_NAMES.values() if result.get(f"iou_{name}") is not None]
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    axes.bar(names, [result[f"iou_{name}"] for name in names])
    axes.axhline(
        result["miou"], linestyle="--", linewidth=1, color="grey", label=f"mean {result['miou']:.2f}"
    )
    axes.set(ylim=(0, 1), ylabel="intersection over union")
    axes.legend()
    return figure
