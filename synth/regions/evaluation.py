"""How well regions are found: intersection over union per class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from synth.photos import open_regions, regions_file
from synth.regions.labels import REGION_NAMES, UNKNOWN
from toolkit.errors import InputError
from toolkit.evaluation.tables import markdown_table, percent
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


def evaluate_regions(
    extract: Callable[[Sequence[np.ndarray]], list[np.ndarray]], split: Split, report: Report, batch: int = 8
) -> dict[str, Any]:
    """Evaluate an extractor on photos whose regions are known.

    Args:
        extract: finds the regions of photos uint8 [H, W, 3]: index maps uint8 [H, W].
        split: the photos; those without a true map, or unreadable, are listed in the report.
        report: where.
        batch: photos at a time.

    Returns:
        ``n`` and the `scores` of all photos together.

    Raises:
        InputError: no photo has a true map.
    """
    counts, seen = np.zeros((CLASSES, CLASSES + 1), np.int64), 0
    images: list[np.ndarray] = []
    truths: list[np.ndarray] = []
    for record in (*split, None):
        if record is not None:
            try:
                truths.append(_truth(split, record))
                images.append(split.open_image(record))
            except InputError as error:
                del truths[len(images) :]
                report.add_skipped(record.file_name, str(error))
        if len(images) >= batch or (record is None and images):
            for truth, found in zip(truths, extract(images), strict=True):
                counts += confusion(truth, found)
            seen += len(images)
            images, truths = [], []
    if seen == 0:
        raise InputError(f"{split.root}: no photo has a map of its regions to compare with")
    return {"n": seen, **scores(counts)}


def _truth(split: Split, record: ImageRecord) -> np.ndarray:
    path = regions_file(split, record)
    if path is None:
        raise InputError("it has no map of regions")
    return open_regions(path, record.height, record.width)


def region_table(result: dict[str, Any]) -> str:
    """The result as a Markdown table: mean, accuracy, and one column per class."""
    names = [name for name in REGION_NAMES.values() if name != REGION_NAMES[UNKNOWN]]
    header = ["photos", "mIoU", "pixel accuracy", *names]
    values = [result["miou"], result["accuracy"], *(result[f"iou_{name}"] for name in names)]
    return markdown_table(header, [[str(result["n"]), *map(percent, values)]]) + "\n"


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
