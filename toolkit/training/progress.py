"""What a person sees of a run, and what is kept of it: a bar or log lines, and log.jsonl."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from toolkit.files import write_text_atomic

logger = logging.getLogger("toolkit.training")

_SECONDS_BETWEEN_LINES = 15.0


class Progress:
    """A rich bar where stderr is a terminal, otherwise a log line now and then; JSON lines in `log_path`.

    A resumed run first drops the lines after its step, so the file tells one story.
    """

    def __init__(self, log_path: Path, first_step: int, steps: int, shown: bool) -> None:
        """Nothing is shown or written unless `shown` (only the main process is)."""
        self.log_path, self.first_step, self.steps, self.shown = log_path, first_step, steps, shown
        self.start = self.last_line = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        self._handler: logging.Handler | None = None

    def __enter__(self) -> Progress:
        """Open the bar, or give the logger a handler on stderr when nobody else has."""
        if not self.shown:
            return self
        drop_lines_after(self.log_path, self.first_step)
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            self._bar = RichProgress(
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[figures]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task(
                "training", total=self.steps, completed=self.first_step, figures=""
            )
        elif not logger.hasHandlers():
            self._handler = logging.StreamHandler(sys.stderr)
            self._handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
            logger.addHandler(self._handler)
            logger.setLevel(logging.INFO)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.stop()
        if self._handler is not None:
            logger.removeHandler(self._handler)

    def advance(self, step: int) -> None:
        """`step` steps are done."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step)

    def record(self, step: int, figures: Mapping[str, float], rare: bool = False) -> None:
        """Keep and show the figures of `step`; those that are rare, as of validation, always have a line."""
        if not (self.shown and figures):
            return
        with open(self.log_path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **figures}) + "\n")
        done = step - self.first_step
        elapsed = time.monotonic() - self.start
        rate = done / elapsed if elapsed > 0 else 0.0
        text = " ".join(f"{name} {value:.4g}" for name, value in figures.items() if name != "time")
        if self._bar is not None:
            self._bar.update(self._task, completed=step, figures=f"{text} {rate:.2f} step/s")
            return
        now = time.monotonic()
        if rare or now - self.last_line >= _SECONDS_BETWEEN_LINES or step >= self.steps or done <= 1:
            self.last_line = now
            left = (self.steps - step) / rate if rate > 0 else float("inf")
            logger.info("step %d/%d %s | %.2f step/s, %s left", step, self.steps, text, rate, _duration(left))


class Means:
    """Means of the losses, and of the time a step takes, since they were last taken."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._steps = 0
        self._start = time.monotonic()

    def add(self, losses: Mapping[str, float]) -> None:
        """Count one step."""
        self._steps += 1
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def take(self) -> tuple[dict[str, float], float]:
        """Return the mean losses and the mean seconds per step, and begin anew."""
        means = {name: value / self._steps for name, value in self._sums.items()}
        seconds = (time.monotonic() - self._start) / self._steps
        self._sums, self._steps, self._start = {}, 0, time.monotonic()
        return means, seconds


def drop_lines_after(path: Path, step: int) -> None:
    """Rewrite the JSON lines of `path` without those of later steps and without a half-written last line."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue
    write_text_atomic(path, "".join(kept))


def _duration(seconds: float) -> str:
    if seconds == float("inf"):
        return "?"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
