"""The endless stream of samples as batches, from any step on."""

from __future__ import annotations

import copy
import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from toolkit.errors import InputError
from toolkit.training.task import TrainingTask

_ERROR_PREFIX = f"{InputError.__module__}.{InputError.__qualname__}: "


class _Samples(Dataset):
    """`task.sample` as a dataset; pickles without the task's torch modules, which workers must not hold."""

    def __init__(self, task: TrainingTask) -> None:
        self.task = task

    def __getitem__(self, index: int) -> Any:
        return self.task.sample(index)

    def collate(self, samples: list[Any]) -> Any:
        return self.task.collate(samples)

    def __getstate__(self) -> dict[str, Any]:
        light = copy.copy(self.task)
        attributes = getattr(light, "__dict__", {})
        for name in [name for name, value in attributes.items() if isinstance(value, torch.nn.Module)]:
            del attributes[name]
        return {"task": light}


@dataclass(frozen=True)
class _IndexBatches:
    """The sample indices of one process, step by step: step s owns [s · batch, (s + 1) · batch)."""

    first_step: int
    steps: int
    batch_size: int  # over all processes
    rank: int
    processes: int

    def __iter__(self) -> Iterator[list[int]]:
        share = self.batch_size // self.processes
        for step in range(self.first_step, self.steps):
            start = step * self.batch_size + self.rank * share
            yield list(range(start, start + share))

    def __len__(self) -> int:
        return max(0, self.steps - self.first_step)


def _start_worker(_: int) -> None:
    """One thread per worker; signals are for the training process, which stops its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    torch.set_num_threads(1)
    try:
        import cv2
    except ImportError:
        return
    cv2.setNumThreads(0)


@contextmanager
def _inherited_signals_blocked() -> Iterator[None]:
    """Processes started inside begin with SIGINT and SIGTERM blocked, until `_start_worker` ignores them.

    A Ctrl-C reaches the workers too; one that died of it would take the training process along before it
    could save.
    """
    resource_tracker.ensure_running()  # started inside, it would unblock them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def batches(
    task: TrainingTask,
    *,
    first_step: int,
    steps: int,
    batch_size: int,
    workers: int,
    rank: int = 0,
    processes: int = 1,
    pin_memory: bool = False,
) -> Generator[Any, None, None]:
    """Yield this process's slice of the batches of steps `first_step` … `steps - 1`.

    Workers are spawned, not forked: threads of OpenCV and torch in the training process make a fork deadlock,
    and a fork server would outlive a killed training process. So the task must pickle, and a script that
    trains needs the usual `if __name__ == "__main__":`. Close the generator to stop the workers.
    """
    samples = _Samples(task)
    loader = DataLoader(
        samples,
        batch_sampler=_IndexBatches(first_step, steps, batch_size, rank, processes),  # type: ignore[arg-type]
        collate_fn=samples.collate,
        num_workers=workers,
        worker_init_fn=_start_worker if workers else None,
        multiprocessing_context="spawn" if workers else None,
        pin_memory=pin_memory,
        # By default a loader draws from torch's global generator, and a resumed run would draw twice.
        generator=torch.Generator().manual_seed(0),
    )
    with _inherited_signals_blocked():
        iterator = iter(loader)
    try:
        yield from iterator
    except InputError as error:  # a worker's comes with its traceback around it
        raise InputError(str(error).strip().splitlines()[-1].removeprefix(_ERROR_PREFIX)) from error
    finally:
        # Not left to the garbage collector: a traceback may hold the iterator until the interpreter's exit,
        # which would wait for workers that nobody told to stop.
        if workers:
            # A worker stopped soon after its start may abort in torch's own exit; nobody waits for it now.
            with suppress(RuntimeError):
                iterator._shutdown_workers()  # type: ignore[attr-defined]
