"""One thread that runs all model calls, the most urgent first, so that nothing is ever run twice at once."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from enum import IntEnum
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class Urgency(IntEnum):
    """Who waits for a model call."""

    CLICK = 0  # an annotator, for an answer on an encoded photo
    ENCODE = 1  # an annotator, for the first answer on a photo
    AHEAD = 2  # nobody yet: a photo that was just opened
    BATCH = 3  # a run over many photos


class ModelWorker:
    """Runs functions one at a time on a thread of its own, by urgency, then in the order they came."""

    def __init__(self) -> None:
        self._queue: queue.PriorityQueue[tuple[int, int, Future[Any] | None, Callable[[], Any] | None]]
        self._queue = queue.PriorityQueue()
        self._order = itertools.count()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="declutter-model", daemon=True)
        self._thread.start()

    def submit(self, urgency: Urgency, call: Callable[[], Answer]) -> Future[Answer]:
        """Queue a call; the future gives its answer or raises what it raised.

        Raises:
            RuntimeError: the worker was closed.
        """
        if self._closed.is_set():
            raise RuntimeError("the model worker is closed")
        future: Future[Answer] = Future()
        self._queue.put((int(urgency), next(self._order), future, call))
        return future

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return self._queue.qsize()

    def close(self) -> None:
        """Finish the call that runs, cancel the rest, and stop."""
        self._closed.set()
        self._queue.put((-1, next(self._order), None, None))
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=30)

    def _run(self) -> None:
        while True:
            _, _, future, call = self._queue.get()
            if future is None or call is None:
                break
            if self._closed.is_set() or not future.set_running_or_notify_cancel():
                future.cancel()
                continue
            try:
                answer = call()
            except BaseException as error:  # noqa: BLE001 - whatever it was belongs to the one who asked
                future.set_exception(error)
            else:
                future.set_result(answer)
        while not self._queue.empty():
            _, _, future, _ = self._queue.get_nowait()
            if future is not None:
                future.cancel()
