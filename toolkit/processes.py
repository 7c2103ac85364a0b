"""Run a function on many items in several processes, which end with the one that asked."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from typing import Generic, TypeVar

import cv2

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 4  # items under way per process: enough to keep it busy, few enough to bound memory
RESTARTS = 5


@dataclass(frozen=True)
class Processes(Generic[Item, Result]):
    """How items are worked on.

    Attributes:
        work: Makes the result of an item; like the rest, it travels to the processes.
        begin: Called once in each process, before its first item.
        preload: Modules that all processes need; imported once.
    """

    work: Callable[[Item], Result]
    begin: Callable[[], object]
    preload: tuple[str, ...] = ()

    def run(self, items: Sequence[Item], workers: int) -> Iterator[Result]:
        """Yield the results, in any order.

        A process that dies (killed for memory, say) is replaced, and what it had under way is made again.

        Args:
            items: What to work on.
            workers: Processes, of one OpenCV thread each.

        Raises:
            BrokenProcessPool: Processes keep dying.
        """
        left = dict(enumerate(items))
        for restart in range(RESTARTS + 1):
            try:
                for place, result in self._run_pool(dict(left), workers):
                    del left[place]
                    yield result
                return
            except BrokenProcessPool:
                if restart == RESTARTS:
                    raise

    def _run_pool(self, items: dict[int, Item], workers: int) -> Iterator[tuple[int, Result]]:
        """Yield each finished item's place and result, until a process dies."""
        waiting = iter(items.items())
        context = _context(self.preload)
        with ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(self.begin,)) as pool:
            under_way: dict[Future[Result], int] = {}
            try:
                while True:
                    for place, item in waiting:
                        under_way[pool.submit(self.work, item)] = place
                        if len(under_way) >= AHEAD * workers:
                            break
                    if not under_way:
                        return
                    for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                        yield under_way.pop(future), future.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def _context(preload: Sequence[str]) -> BaseContext:
    """Where processes come from: a server that has imported what they need and does nothing else.

    Forking this process would be quicker still, but a fork of a process with threads (OpenCV's, PyTorch's)
    may hang.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


def _begin(begin: Callable[[], object]) -> None:
    """Start a process: one thread, since there are as many processes as wanted."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked; it ends the others
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    begin()


def _end_with_parent() -> None:
    """Leave when the process that asked is killed; this one would else wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
