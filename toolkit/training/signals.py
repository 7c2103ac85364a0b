"""SIGINT and SIGTERM ask training to save and leave; they do not break into a step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class TrainingInterrupted(SystemExit):
    """A signal stopped training after a checkpoint was saved; the exit code is 128 + the signal's number."""


class StopRequest:
    """Remembers the first SIGINT or SIGTERM in `signal`; a SIGINT after it interrupts at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self, number: int, _frame: object) -> None:
        """Handle a signal."""
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = self.signal or number


@contextmanager
def catching_signals() -> Iterator[StopRequest]:
    """Turn SIGINT and SIGTERM into a stop request inside the block (main thread only: Python's rule)."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
