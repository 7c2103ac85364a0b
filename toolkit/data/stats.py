"""Describe a split in numbers and plots: sizes, instances and groups per image."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.split import Split
from toolkit.split.columns import NO_GROUP

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# COCO's size ranges: small below 32² pixels, large above 96².
SMALL_SIDE, LARGE_SIDE = 32, 96
TOP_CATEGORIES = 20


@dataclass(frozen=True)
class Stats:
    """The distributions behind the tables and plots of a split.

    Attributes:
        images: int64 [N, 2], width and height of every image.
        instances: int64 [N], annotations per image.
        groups: int64 [N], groups per image.
        group_sizes: int64 [G], annotations per group.
        areas: float64 [A], mask areas in pixels, those on file only.
        crowds: Annotations that are crowds.
        without_area: Annotations with no area on file.
        categories: Annotations per category name, the commonest first.
        sources: Images per source.
        licences: Images per licence.
    """

    images: np.ndarray
    instances: np.ndarray
    groups: np.ndarray
    group_sizes: np.ndarray
    areas: np.ndarray
    crowds: int
    without_area: int
    categories: dict[str, int]
    sources: dict[str, int]
    licences: dict[str, int]


def measure(split: Split) -> Stats:
    """Collect the distributions of a split; no mask is decoded."""
    images, columns = split.image_columns, split.annotation_columns
    grouped = columns.group_id != NO_GROUP
    keys = np.stack([columns.image_id[grouped], columns.group_id[grouped]], axis=1)  # [n, 2]
    groups, group_sizes = np.unique(keys, axis=0, return_counts=True)
    known_area = np.isfinite(columns.area)
    names = split.category_names
    categories: Counter[str] = Counter()
    for category_id, count in zip(*np.unique(columns.category_id, return_counts=True), strict=True):
        categories[names.get(int(category_id), f"unknown category {category_id}")] += int(count)
    licences = {licence.get("id"): str(licence.get("name", licence.get("id"))) for licence in split.licenses}
    records = list(split)
    return Stats(
        images=np.stack([images.width, images.height], axis=1),
        instances=_count_per_image(columns.image_id, images.id),
        groups=_count_per_image(groups[:, 0], images.id),
        group_sizes=group_sizes,
        areas=columns.area[known_area],
        crowds=int(columns.iscrowd.sum()),
        without_area=int(np.count_nonzero(~known_area)),
        categories=dict(categories.most_common()),
        sources=dict(Counter(record.source or "unknown" for record in records).most_common()),
        licences=dict(
            Counter(
                "unknown" if record.license is None else licences.get(record.license, str(record.license))
                for record in records
            ).most_common()
        ),
    )


def _count_per_image(owners: np.ndarray, image_ids: np.ndarray) -> np.ndarray:
    """Count how often each image id occurs among `owners`: int64 [N]."""
    ordered = np.sort(owners)
    return np.searchsorted(ordered, image_ids, "right") - np.searchsorted(ordered, image_ids, "left")


def summary(stats: Stats) -> dict[str, Any]:
    """Return the numbers of a split as one flat table; null where there is nothing to average."""
    small = int(np.count_nonzero(stats.areas < SMALL_SIDE**2))
    large = int(np.count_nonzero(stats.areas > LARGE_SIDE**2))
    result: dict[str, Any] = {
        "images": len(stats.images),
        "images_without_annotations": int(np.count_nonzero(stats.instances == 0)),
        "annotations": int(stats.instances.sum()),
        "crowds": stats.crowds,
        "groups": len(stats.group_sizes),
        "groups_of_two_or_more": int(np.count_nonzero(stats.group_sizes > 1)),
        "categories": len(stats.categories),
        "small": small,
        "medium": len(stats.areas) - small - large,
        "large": large,
        "without_area": stats.without_area,
    }
    distributions = {
        "width": stats.images[:, 0],
        "height": stats.images[:, 1],
        "instances_per_image": stats.instances,
        "groups_per_image": stats.groups,
        "group_size": stats.group_sizes,
        "area": stats.areas,
    }
    for name, values in distributions.items():
        for kind, function in (("min", np.min), ("median", np.median), ("mean", np.mean), ("max", np.max)):
            result[f"{name}_{kind}"] = round(float(function(values)), 3) if len(values) else None
    return result


def table(stats: Stats) -> str:
    """Return the numbers of a split as Markdown tables."""
    result = summary(stats)
    lines = ["| what | count |", "| --- | ---: |"]
    names = [name for name in result if not name.endswith(("_min", "_median", "_mean", "_max"))]
    lines += [f"| {name.replace('_', ' ')} | {result[name]:,} |" for name in names]
    lines += ["", "| per | min | median | mean | max |", "| --- | ---: | ---: | ---: | ---: |"]
    for name in ("width", "height", "instances_per_image", "groups_per_image", "group_size", "area"):
        values = [result[f"{name}_{kind}"] for kind in ("min", "median", "mean", "max")]
        cells = ["–" if value is None else f"{value:,.6g}" for value in values]
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    for title, counts in (
        ("category", stats.categories),
        ("source", stats.sources),
        ("licence", stats.licences),
    ):
        lines += ["", f"| {title} | count |", "| --- | ---: |"]
        shown = list(counts.items())[:TOP_CATEGORIES]
        lines += [f"| {name.replace('|', '/')} | {count:,} |" for name, count in shown]
        if len(counts) > len(shown):
            lines.append(
                f"| {len(counts) - len(shown)} more | {sum(counts.values()) - sum(dict(shown).values()):,} |"
            )
    return "\n".join(lines) + "\n"


def figures(stats: Stats) -> dict[str, Figure]:
    """Draw the distributions of a split."""
    from matplotlib.figure import Figure

    top = list(stats.categories.items())[:TOP_CATEGORIES]
    sizes, per_image = (Figure(figsize=(11, 4), layout="constrained") for _ in range(2))
    categories = Figure(figsize=(8, 1.2 + 0.25 * len(top)), layout="constrained")

    left, right = sizes.subplots(1, 2)
    left.scatter(stats.images[:, 0], stats.images[:, 1], s=8, alpha=0.4)
    left.set(title="Image sizes", xlabel="width, pixels", ylabel="height, pixels", aspect="equal")
    left.margins(0.1)
    _draw_object_sizes(right, stats.areas)

    axes = per_image.subplots(1, 3)
    for axis, values, title in zip(
        axes,
        (stats.instances, stats.groups, stats.group_sizes),
        ("Instances per image", "Groups per image", "Instances per group"),
        strict=True,
    ):
        _draw_counts(axis, values, title)
        axis.set_ylabel("groups" if values is stats.group_sizes else "images")

    axis = categories.subplots()
    bars = axis.barh([name.replace("$", r"\$") for name, _ in top], [count for _, count in top])
    axis.bar_label(bars, padding=3)
    axis.invert_yaxis()
    axis.set(title=f"Commonest of {len(stats.categories)} categories", xlabel="annotations")
    axis.margins(x=0.12)
    return {"sizes": sizes, "per-image": per_image, "categories": categories}


def _draw_object_sizes(axis: Axes, areas: np.ndarray) -> None:
    sides = np.sqrt(areas[areas > 0])
    axis.set(title="Object sizes", xlabel="side of a square of the same area, pixels", ylabel="annotations")
    axis.set_xscale("log")
    if len(sides):
        axis.hist(sides, bins=np.geomspace(max(1, sides.min()), sides.max() + 1, 50).tolist())
    for side, name in ((SMALL_SIDE, "medium"), (LARGE_SIDE, "large")):
        axis.axvline(side, color="black", linestyle=":", linewidth=1)
        axis.annotate(f" {name}", (side, 0.98), xycoords=("data", "axes fraction"), va="top")
    axis.margins(y=0.12)


def _draw_counts(axis: Axes, values: np.ndarray, title: str) -> None:
    """Draw how often each count occurs; the last bar gathers the rarest one in a hundred."""
    from matplotlib.ticker import MaxNLocator

    axis.set(title=title, xlabel="count")
    if not len(values):
        return
    last = max(1, int(np.percentile(values, 99)))
    counts = np.bincount(np.minimum(values, last + 1), minlength=last + 2)
    axis.bar(np.arange(last + 2), counts, width=0.9)
    if counts[-1]:
        axis.set_xlabel(f"count (last bar: more than {last}, up to {values.max()})")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
