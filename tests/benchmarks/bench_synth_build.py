"""How many images a build makes per second and core, at 640×480 with regions given.

    python -m tests.benchmarks.bench_synth_build [IMAGES] [WORKERS ...]

Photos and donors are made from nothing: textured photos of three regions each, a hundred donor photos of six
objects. Rates are images by seconds, and by seconds of processor time, which a busy machine does not distort.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from synth.build.job import Job
from synth.build.local import run_local
from synth.build.run import build
from synth.settings import SynthSettings
from tests.helpers.scenes import GROUND, SKY, WALL, shape_mask
from toolkit.masks import mask_to_rle
from toolkit.split import Annotation, SplitWriter

HEIGHT, WIDTH = 480, 640


@dataclass(frozen=True)
class BuildCosts:
    """What a build cost.

    Attributes:
        images: Made.
        instances: In them, together.
        workers: Processes.
        seconds: From start to finish, the workers' start included.
        processor: Seconds of processor time of this process; None where others did the work.
    """

    images: int
    instances: int
    workers: int
    seconds: float
    processor: float | None


def texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Smooth colours with fine noise, uint8 [height, width, 3]: compresses about as well as a photo."""
    coarse = rng.integers(40, 215, (height // 40, width // 40, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)


def write_sources(root: Path, photos: int = 40, donors: int = 100) -> tuple[Path, Path]:
    """Write photos with regions, and donors."""
    rng = np.random.default_rng(0)
    with SplitWriter(root / "photos") as writer:
        for number in range(photos):
            regions = np.full((HEIGHT, WIDTH), GROUND, np.uint8)
            horizon = int(rng.integers(150, 300))
            regions[:horizon] = WALL
            regions[: horizon // 2] = SKY
            regions[:, 300:330] = 0
            writer.add_image(texture(rng, HEIGHT, WIDTH), file_name=f"{number}.jpg", regions=regions)
    categories = [{"id": number + 1, "name": f"thing {number}"} for number in range(12)]
    with SplitWriter(root / "donors", categories=categories) as writer:
        for number in range(donors):
            image, annotations = texture(rng, HEIGHT, WIDTH), []
            for place in range(6):
                size = int(rng.integers(15, 90))
                mask = shape_mask(
                    place, 110 + 210 * (place % 3), 130 + 220 * (place // 3), size, HEIGHT, WIDTH
                )
                category = int(rng.integers(1, 13))
                annotations.append(Annotation(category_id=category, segmentation=mask_to_rle(mask)))
            writer.add_image(image, annotations, file_name=f"{number}.jpg")
    return root / "photos", root / "donors"


def measure(sources: tuple[Path, Path], out: Path, images: int, workers: int) -> BuildCosts:
    """Build a split and take the times."""
    cutouts = str(out / ".build" / "cutouts")
    cv2.setNumThreads(1)  # as in every worker, else one process would use all cores
    job = Job(str(sources[0]), str(sources[1]), SynthSettings(), images, 0, cutouts=cutouts)
    before, start = time.process_time(), time.perf_counter()
    split = build(out, job, partial(run_local, workers=workers))
    seconds = time.perf_counter() - start
    processor = time.process_time() - before if workers == 1 else None
    return BuildCosts(len(split), len(split.annotations), workers, seconds, processor)


def main() -> None:
    """Print a table."""
    images = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    workers = [int(value) for value in sys.argv[2:]] or [1, 2]
    write = sys.stdout.write
    write("| workers | images | instances per image | images/s | images per processor second |\n")
    write("| --- | --- | --- | --- | --- |\n")
    with tempfile.TemporaryDirectory() as folder:
        sources = write_sources(Path(folder))
        for count in workers:
            costs = measure(sources, Path(folder) / f"out{count}", images, count)
            own = "" if costs.processor is None else f"{costs.images / costs.processor:.1f}"
            write(
                f"| {costs.workers} | {costs.images} | {costs.instances / costs.images:.1f} | "
                f"{costs.images / costs.seconds:.1f} | {own} |\n"
            )


if __name__ == "__main__":
    main()
