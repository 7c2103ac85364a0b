"""How long a large annotation file takes to open, and how much memory, beside `pycocotools.coco.COCO(path)`.

    python -m tests.benchmarks.bench_split_open --full

writes a file like that of LVIS v1 train (1.27 M annotations, 1.1 GB), opens it with each reader in a process
of its own, and prints times, peak memory and their ratios.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

# LVIS v1 train: 1,270,141 annotations on 100,170 images, 1,203 categories.
FULL, PER_IMAGE, CATEGORIES = 1_270_141, 12.68, 1203
WIDTH, HEIGHT = 640, 480
FORMS = ("polygons", "rle")

READERS = {
    "pycocotools": "from pycocotools.coco import COCO as open_file",
    "toolkit.split": "from toolkit.split import read_split as open_file",
}
# Runs in the child: time of opening alone, and the peak of resident memory of the whole process.
CHILD = """
import contextlib, json, os, resource, sys, time
{imports}
def peak():
    try:  # of this process alone: ru_maxrss starts with what the parent held, also after exec
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
start, start_cpu = time.perf_counter(), time.process_time()
with contextlib.redirect_stdout(sys.stderr):
    opened = open_file(sys.argv[1])
seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
print(json.dumps({{"seconds": seconds, "cpu": cpu, "peak": peak()}}))
"""


@dataclass(frozen=True)
class Cost:
    """What opening a file cost: seconds on the clock, of the processor, and the peak of memory in bytes."""

    seconds: float
    cpu: float
    peak: int

    def __truediv__(self, other: Cost) -> tuple[float, float, float]:
        return self.seconds / other.seconds, self.cpu / other.cpu, self.peak / other.peak


def generate(path: Path, annotations: int, form: str = "polygons", seed: int = 0) -> None:
    """Write a file with the fields, the spacing and about the size per annotation of LVIS v1."""
    rng = np.random.default_rng(seed)
    images = max(1, round(annotations / PER_IMAGE))
    shapes = [json.dumps(_shape(rng, form)) for _ in range(500)]
    chosen = rng.integers(0, len(shapes), annotations)
    owners = rng.integers(1, images + 1, annotations)
    categories = rng.integers(1, CATEGORIES + 1, annotations)
    boxes = rng.uniform(0, 300, (annotations, 4)).round(2)
    areas = rng.uniform(0, 9000, annotations).round(2)
    with path.open("w") as file:
        file.write('{"info": {"description": "benchmark"}, "licenses": [], "images": [')
        for index in range(1, images + 1):
            url = f"http://images.cocodataset.org/train2017/{index:012d}.jpg"
            record = {"date_captured": "2013-11-15 02:41:42", "neg_category_ids": [12, 345], "id": index}
            record |= {"license": 4, "width": WIDTH, "height": HEIGHT, "coco_url": url}
            file.write((", " if index > 1 else "") + json.dumps(record))
        file.write('], "annotations": [')
        for index in range(annotations):
            x, y, width, height = boxes[index].tolist()
            file.write(
                f'{", " if index else ""}{{"bbox": [{x}, {y}, {width}, {height}], '
                f'"category_id": {categories[index]}, "image_id": {owners[index]}, "id": {index + 1}, '
                f'"segmentation": {shapes[chosen[index]]}, "area": {areas[index]}}}'
            )
        names = [
            {"id": index, "name": f"category {index}", "frequency": "f"} for index in range(1, CATEGORIES + 1)
        ]
        file.write('], "categories": ' + json.dumps(names) + "}")


def _shape(rng: np.random.Generator, form: str) -> object:
    if form == "polygons":
        points = int(rng.integers(6, 85))
        return [rng.uniform(0, 480, 2 * points).round(2).tolist()]
    from toolkit.masks import mask_to_rle

    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    y, x, radius = rng.uniform(0, HEIGHT), rng.uniform(0, WIDTH), rng.uniform(4, 90)
    angle = np.arctan2(rows - y, columns - x)
    outline = radius * (1 + 0.2 * np.sin(3 * angle + x) + 0.1 * np.sin(7 * angle + y))
    return mask_to_rle((rows - y) ** 2 + (columns - x) ** 2 < outline**2)


def measure(path: Path, reader: str, repeats: int = 1) -> Cost:
    """Open a file in a process of its own; the best of several runs."""
    code = CHILD.format(imports=READERS[reader])
    runs = []
    for _ in range(repeats):
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True
        )
        runs.append(json.loads(done.stdout))
    return Cost(**{name: min(run[name] for run in runs) for name in ("seconds", "cpu", "peak")})


def main(
    annotations: Annotated[int, typer.Option(help="How many to write.")] = 100_000,
    full: Annotated[bool, typer.Option(help=f"As many as LVIS v1 train: {FULL:,}.")] = False,
    form: Annotated[str, typer.Option(help="Masks: polygons or rle.")] = "polygons",
    repeats: Annotated[int, typer.Option(help="Runs of each reader; the best counts.")] = 2,
) -> None:
    """Compare both readers and print the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "annotations.json"
        count = FULL if full else annotations
        generate(path, count, form)
        typer.echo(f"{count:,} annotations as {form}, {path.stat().st_size / 1e6:,.0f} MB")
        costs = {reader: measure(path, reader, repeats) for reader in READERS}
    for reader, cost in costs.items():
        typer.echo(
            f"{reader:14} {cost.seconds:7.2f} s   {cost.cpu:7.2f} s cpu   peak {cost.peak / 1e6:7,.0f} MB"
        )
    time, cpu, memory = costs["toolkit.split"] / costs["pycocotools"]
    typer.echo(f"ratios: time {time:.3f}, cpu {cpu:.3f}, memory {memory:.3f}")


if __name__ == "__main__":
    typer.run(main)
