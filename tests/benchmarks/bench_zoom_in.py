"""What zoom-in gains on small objects, and what it costs.

    python -m tests.benchmarks.bench_zoom_in PHOTOS/val --limit 100

gives the network smaller copies of the photos than the selector does by default, so that an ordinary photo
stands to them as one of 2,048 pixels stands to the default ones, and clicks the middle of every object, once
with crops of the photo's own resolution and once without. With --groups it clicks one object of each group
instead and compares what comes back, with and without the crops and the finer view.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from models.selector import Selector
from toolkit.clicks import center_click
from toolkit.evaluation.groups import run_groups
from toolkit.masks import mask_iou
from toolkit.metrics import size_of
from toolkit.split import Split, read_split

SIZES = (96, 160, 320)


@dataclass(frozen=True)
class Clicked:
    """A clicked object: its size class and, for each selector, the IoU of its answer."""

    size: str
    ious: tuple[float, ...]


def click_all(split: Split, selectors: Sequence[Selector], limit: int) -> tuple[list[Clicked], list[float]]:
    """Click every object of some photos; returns them and each selector's seconds for all clicks."""
    records = [r for r in split.images if any(not a.iscrowd for a in split.annotations_of(r.id))]
    chosen = np.unique(np.linspace(0, len(records) - 1, min(limit, len(records))).round().astype(int))
    clicked: list[Clicked] = []
    seconds = [0.0] * len(selectors)
    for index in chosen:
        record = records[index]
        masks = [
            a.mask(record.height, record.width) for a in split.annotations_of(record.id) if not a.iscrowd
        ]
        masks = [mask for mask in masks if mask.any()]
        image = split.open_image(record)
        answers = []
        for number, selector in enumerate(selectors):
            scene = selector.encode(image)
            start = time.perf_counter()
            found = scene.segment_each([center_click(mask) for mask in masks])
            seconds[number] += time.perf_counter() - start
            answers.append(
                [0.0 if f is None else mask_iou(f.mask, m) for f, m in zip(found, masks, strict=True)]
            )
        sizes = [size_of(float(mask.sum())) for mask in masks]
        clicked += [Clicked(size, ious) for size, *ious in zip(sizes, *answers, strict=True)]  # type: ignore[arg-type]
    return clicked, seconds


def compare_groups(split: Split, selectors: Sequence[Selector], limit: int) -> list[dict[str, float]]:
    """What `declutter eval groups` says of each selector on some photos."""
    with tempfile.TemporaryDirectory() as folder:
        return [
            run_groups(split, selector, Path(folder) / str(number), limit=limit)
            for number, selector in enumerate(selectors)
        ]


def main(
    split: Annotated[Path, typer.Argument(help="A split with objects.")],
    limit: Annotated[int, typer.Option(help="Photos, evenly spread.")] = 60,
    sizes: Annotated[str, typer.Option(help="Longer sides of the copies, pixels.")] = ",".join(
        map(str, SIZES)
    ),
    groups: Annotated[bool, typer.Option("--groups", help="Compare selections of groups.")] = False,
) -> None:
    """Compare both and print mean IoUs and the time of the clicks."""
    copies = [int(size) for size in sizes.split(",")]
    zooming = Selector.load(working_sizes=copies)
    selectors = [zooming.with_selection(zoom_in=False), zooming]
    if groups:
        for name, result in zip(
            ("without", "with"), compare_groups(read_split(split), selectors, limit), strict=True
        ):
            figures = (f"{key} {result[key]:.3f}" for key in ("ap", "ar", "precision", "recall"))
            typer.echo(f"{name:8} {result['n']} groups  {'  '.join(figures)}")
        return
    clicked, seconds = click_all(read_split(split), selectors, limit)
    for size in ("small", "medium", "large", "all"):
        own = np.array([c.ious for c in clicked if size in (c.size, "all")])
        if len(own):
            plain, zoomed = own.mean(0)
            changed = (own[:, 0] != own[:, 1]).mean()
            typer.echo(
                f"{size:7} {len(own):5} objects  mIoU {plain:.3f} → {zoomed:.3f}  changed {changed:.2f}"
            )
    typer.echo(f"time of all clicks: {seconds[1] / seconds[0]:.2f} times as long with crops")


if __name__ == "__main__":
    typer.run(main)
