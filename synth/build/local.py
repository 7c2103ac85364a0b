"""Run a build on this machine: in one process, or in several that share the cut-outs on disk."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext

import cv2

from synth.build.job import Job
from synth.build.workshop import Made, make_image, open_workshop

_AHEAD = 4  # images under way per worker: enough to keep it busy, few enough to bound memory
_RESTARTS = 5


def run_local(job: Job, indices: Sequence[int], workers: int) -> Iterator[Made]:
    """Make images, in any order.

    A worker that dies (killed for memory, say) is replaced, and what it was making is made again.

    Args:
        job: the build.
        indices: the numbers of the images to make.
        workers: processes; 1 makes them in this one.

    Raises:
        BrokenProcessPool: workers keep dying.
    """
    if workers <= 1 or len(indices) <= 1:
        for index in indices:
            yield make_image(job, index)
        return
    left = list(indices)
    for restart in range(_RESTARTS + 1):
        done: set[int] = set()
        try:
            for made in _run_pool(job, left, workers):
                done.add(made.index)
                yield made
            return
        except BrokenProcessPool:
            if restart == _RESTARTS:
                raise
            left = [index for index in left if index not in done]


def _run_pool(job: Job, indices: Sequence[int], workers: int) -> Iterator[Made]:
    context = _context()
    waiting = iter(indices)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(job,)) as pool:
        under_way: set[Future[Made]] = set()
        try:
            while True:
                for index in waiting:
                    under_way.add(pool.submit(make_image, job, index))
                    if len(under_way) >= _AHEAD * workers:
                        break
                if not under_way:
                    return
                finished, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _context() -> BaseContext:
    """Where workers come from: a server process that has imported what they need and does nothing else.

    Forking this process would be quicker still, but a fork of a process with threads (OpenCV's, PyTorch's)
    may hang.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["synth.build.workshop"])
    return context


def _begin(job: Job) -> None:
    """Start a worker: one thread each, since there are as many workers as wanted."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked; it ends the workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    open_workshop(job)


def _end_with_parent() -> None:
    """Leave when the process that asked is killed; workers would else wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
