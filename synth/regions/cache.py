"""Index maps of a whole split, extracted once and kept as PNGs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from synth.photos import cached_regions, regions_file
from toolkit.errors import InputError
from toolkit.files import write_bytes_atomic
from toolkit.image import open_image
from toolkit.split import ImageRecord, Split

Extract = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


def missing_regions(
    split: Split, records: Sequence[ImageRecord], folder: Path | None = None
) -> list[ImageRecord]:
    """The photos that have no index map yet."""
    return [record for record in records if regions_file(split, record, folder) is None]


def encode_regions(regions: np.ndarray) -> bytes:
    """Encode an index map uint8 [H, W] as PNG."""
    done, data = cv2.imencode(".png", regions)
    if not done:
        raise RuntimeError("the index map could not be encoded as PNG")
    return data.tobytes()


def extract_batch(paths: Sequence[Path], extract: Extract) -> list[bytes | str]:
    """Extract the regions of some photos.

    Returns:
        For each photo the PNG, or the reason why there is none.
    """
    results: list[bytes | str] = []
    images = []
    for path in paths:
        try:
            images.append(open_image(path))
            results.append("")
        except InputError as error:
            results.append(str(error))
    maps = iter(extract(images) if images else [])
    return [encode_regions(next(maps)) if result == "" else result for result in results]


def extract_missing(
    split: Split,
    records: Sequence[ImageRecord],
    folder: Path,
    run: Callable[[list[list[Path]]], Iterator[tuple[int, list[bytes | str]]]],
    batch: int,
    on_photo: Callable[[ImageRecord, str | None], None] = lambda record, fault: None,
) -> int:
    """Extract and keep the index maps of photos; run again, it goes on with those that have none.

    Args:
        split: the photos' split.
        records: the photos.
        folder: where the maps go, named like the photos.
        run: extracts batches of photos, in any order: their number, and for each photo the PNG or a fault.
        batch: photos at a time.
        on_photo: told of each photo, and of what is wrong with it.

    Returns:
        How many maps were written.
    """
    todo, paths = [], []
    for record in records:
        try:
            paths.append(split.image_path(record))
            todo.append(record)
        except InputError as error:
            on_photo(record, str(error))
    starts = range(0, len(todo), batch)
    written = 0
    for number, results in run([paths[start : start + batch] for start in starts]):
        for record, result in zip(todo[number * batch :], results, strict=False):
            if isinstance(result, bytes):
                write_bytes_atomic(cached_regions(folder, record), result)
                written += 1
            on_photo(record, None if isinstance(result, bytes) else result)
    return written


def run_here(extract: Extract) -> Callable[[list[list[Path]]], Iterator[tuple[int, list[bytes | str]]]]:
    """Extract batches in this process."""

    def run(batches: list[list[Path]]) -> Iterator[tuple[int, list[bytes | str]]]:
        for number, paths in enumerate(batches):
            yield number, extract_batch(paths, extract)

    return run


def run_on_ray(
    ray: Any, source: str | None, device: str | None
) -> Callable[[list[list[Path]]], Iterator[tuple[int, list[bytes | str]]]]:
    """Extract batches in actors of a Ray cluster: one per GPU, or one per machine where there is none.

    An actor that is lost is started again, and its batch is extracted again.

    Args:
        ray: the module, connected.
        source: of the extractor; see `RegionExtractor.load`.
        device: of torch; None for the GPU when there is one.
    """

    def run(batches: list[list[Path]]) -> Iterator[tuple[int, list[bytes | str]]]:
        gpus = int(ray.cluster_resources().get("GPU", 0))
        count = max(min(gpus or len(ray.nodes()), len(batches)), 1)
        actor = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0, max_restarts=-1, max_task_retries=-1)(
            _Actor
        )
        idle = [actor.remote(source, device) for _ in range(count)]
        under_way: dict[Any, tuple[int, Any]] = {}
        waiting = iter(enumerate(batches))
        while True:
            while idle and (job := next(waiting, None)) is not None:
                worker = idle.pop()
                under_way[worker.extract.remote(job[1])] = (job[0], worker)
            if not under_way:
                return
            (finished,), _ = ray.wait(list(under_way), num_returns=1)
            number, worker = under_way.pop(finished)
            idle.append(worker)
            yield number, ray.get(finished)

    return run


class _Actor:
    """Holds an extractor in a process of the cluster."""

    def __init__(self, source: str | None, device: str | None) -> None:
        from synth.regions.extractor import RegionExtractor

        self.extractor = RegionExtractor.load(source, device)

    def extract(self, paths: list[Path]) -> list[bytes | str]:
        """Extract the regions of one batch."""
        return extract_batch(paths, self.extractor.extract)
