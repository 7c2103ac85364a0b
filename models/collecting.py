"""Collect lessons of a split, a file for each photo, in one process or in several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from models.selector import WORKING_SIZES, Selector
from toolkit.data.progress import track
from toolkit.errors import InputError
from toolkit.processes import Processes
from toolkit.split import ImageRecord, Split, read_split


class Collector(Protocol):
    """Makes the lessons of one photo; it travels to other processes."""

    @property
    def lacking(self) -> str:
        """What a split without any lesson lacks."""

    def fits(self, split: Split, record: ImageRecord) -> bool:
        """Whether a photo teaches anything."""

    def write(self, path: Path, split: Split, record: ImageRecord, selector: Selector) -> None:
        """Write the lessons of a photo to a file."""


@dataclass(frozen=True)
class Collection:
    """What all processes of one collection know.

    Attributes:
        collector: Makes the lessons.
        split: Folder of the photos.
        out: Folder of the files, ``ID.npz``.
        weights: Folder or hub id; the bundled weights by default.
        device: Where the networks run; a GPU when there is one, by default.
        working_sizes: See :class:`models.selector.Selector`.
    """

    collector: Collector
    split: Path
    out: Path
    weights: str | None = None
    device: str | None = None
    working_sizes: tuple[int, ...] = WORKING_SIZES

    def path(self, photo: int) -> Path:
        """The file of a photo's lessons."""
        return self.out / f"{photo}.npz"


def collect(job: Collection, limit: int | None = None, seed: int = 0, workers: int = 1) -> int:
    """Write the lessons of some photos.

    Photos that have a file already are left out, so a stopped run goes on.

    Args:
        job: The collection.
        limit: Photos, drawn at random; all by default.
        seed: Of that.
        workers: Processes of one thread each; 1 stays in this one.

    Returns:
        How many photos have a file now.

    Raises:
        InputError: The split teaches nothing, or a photo can't be read.
    """
    split = read_split(job.split)
    records = [record for record in split.images if job.collector.fits(split, record)]
    if not records:
        raise InputError(f"{job.split}: the split holds {job.collector.lacking}")
    order = np.random.default_rng(seed).permutation(len(records))[:limit]
    job.out.mkdir(parents=True, exist_ok=True)
    missing = [records[i] for i in order if not job.path(records[i].id).exists()]
    if workers > 1 and len(missing) > 1:
        _collect_in_processes(job, missing, min(workers, len(missing)))
    elif missing:
        worker = _Worker(job, split)
        for record in track(missing, "photos"):
            worker.write(record)
    return len(order)


def _collect_in_processes(job: Collection, records: Sequence[ImageRecord], workers: int) -> None:
    shared = Processes(partial(_write, job), partial(_begin, job), ("models.collecting",))
    for _ in track(shared.run(records, workers), "photos", len(records)):
        pass


class _Worker:
    """The networks and the split of one process."""

    def __init__(self, job: Collection, split: Split) -> None:
        self._job, self._split = job, split
        self._selector = Selector.load(job.weights, device=job.device, working_sizes=job.working_sizes)

    def write(self, record: ImageRecord) -> None:
        """Write the lessons of a photo."""
        self._job.collector.write(self._job.path(record.id), self._split, record, self._selector)


@lru_cache(maxsize=1)
def _worker(job: Collection) -> _Worker:
    """Of a process that collects for another; made once."""
    return _Worker(job, read_split(job.split))


def _begin(job: Collection) -> None:
    """Start a process: one thread, since there are as many of them as wanted."""
    torch.set_num_threads(1)
    _worker(job)


def _write(job: Collection, record: ImageRecord) -> None:
    _worker(job).write(record)
