"""From annotators' work to better weights: write a split, fine-tune, and read how that compares."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotation.backend.settings import BackendSettings
from annotation.exporting import Photo, export_tasks
from annotation.photo_sources import from_label_studio, in_folders
from toolkit.errors import InputError

logger = logging.getLogger(__name__)

STEPS_VARIABLE = "DECLUTTER_TRAINING_STEPS"  # how long each network learns; the recipes say otherwise
HOURS = 12

Declutter = Callable[[Sequence[str], Callable[[str], None]], None]
"""Runs a command line of `declutter`, told each line that it prints; raises InputError when it fails."""


@dataclass(frozen=True)
class Outcome:
    """What a training run came to.

    Attributes:
        better: whether the new weights beat those that were served, on the part held back.
        before: scores of the weights that were served.
        after: scores of the new weights.
        weights: folder of the new weights.
        version: name of the new weights.
        counts: photos and objects learned from and held back.
    """

    better: bool
    before: dict[str, float | None] = field(default_factory=dict)
    after: dict[str, float | None] = field(default_factory=dict)
    weights: Path | None = None
    version: str = ""
    counts: dict[str, int] = field(default_factory=dict)

    def summary(self) -> str:
        """The outcome in one sentence."""
        scores = ", ".join(
            f"{name} {_number(self.before.get(name))} → {_number(value)}"
            for name, value in self.after.items()
        )
        if self.better:
            return f"better on the part held back ({scores}): now served as {self.version}"
        return f"not better on the part held back ({scores}): the old weights stay"

    def report(self) -> dict[str, Any]:
        """The outcome as JSON."""
        return {
            "better": self.better,
            "before": self.before,
            "after": self.after,
            "weights": str(self.weights) if self.weights else None,
            "version": self.version,
            "counts": self.counts,
        }


def fine_tune_and_compare(
    settings: BackendSettings,
    declutter: Declutter | None = None,
    weights: Path | None = None,
    source: str | None = None,
) -> Callable[[list[dict[str, Any]], Path, Callable[[str], None]], Outcome]:
    """The work of a training run, for `TrainingRuns`.

    Args:
        settings: of the backend, for the photos.
        declutter: runs command lines; a process of its own each, by default.
        weights: what is served now; by default what an earlier run left, or what it started from.
        source: of the system that is served, as `--system` says it.
    """
    run = declutter or run_declutter

    def work(tasks: list[dict[str, Any]], folder: Path, say: Callable[[str], None]) -> Outcome:
        say("writing a split")
        export_tasks(tasks, folder / "annotated", photo_source(settings), overwrite=True)
        before = weights or served_weights(settings.state_dir, source)
        run(finetune_command(folder / "annotated", before, folder / "finetune"), say)
        version = f"finetuned-{time.strftime('%Y%m%d-%H%M%S')}"
        return read_outcome(folder / "finetune", version)

    return work


def photo_source(settings: BackendSettings) -> Photo:
    """Where a backend finds the photos of tasks again."""
    if settings.label_studio_url and settings.api_key:
        return from_label_studio(settings.label_studio_url, settings.api_key)
    return in_folders([root for root in settings.local_roots if root.is_dir()])


def finetune_command(split: Path, before: Path, out: Path) -> list[str]:
    """The command line that fine-tunes weights on a split."""
    command = ["train", "finetune", "--set", f"data.train={split}"]
    if steps := os.environ.get(STEPS_VARIABLE):
        command += ["--set", f"schedule.steps={steps}"]
    return [*command, "--init-from", str(before), "--out", str(out), "--resume"]


def read_outcome(folder: Path, version: str) -> Outcome:
    """What a finished fine-tuning came to; its new weights get a version."""
    result: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    scores: dict[str, dict[str, float | None]] = {
        ending: {
            name.removesuffix(f"_{ending}"): value
            for name, value in result.items()
            if name.endswith(f"_{ending}")
        }
        for ending in ("before", "after")
    }
    counts = {name: value for name, value in result.items() if name.endswith(("_photos", "_objects"))}
    better = bool(result["better"])
    return Outcome(better, scores["before"], scores["after"], folder / "weights", version, counts)


def served_weights(state_dir: Path | None, source: str | None = None) -> Path:
    """The folder of the weights that are served: what training left last, or those it started from."""
    from annotation.systems import better_weights
    from models.loading import BUNDLED

    better = better_weights(source, state_dir)
    if better is not None:
        return better[0]
    return BUNDLED if source is None else Path(source)


def run_declutter(arguments: Sequence[str], say: Callable[[str], None] = lambda _: None) -> None:
    """Run a command line of `declutter` in a process of its own, at low priority.

    Args:
        arguments: of the command.
        say: told each line that it prints.

    Raises:
        InputError: it failed; the last line it wrote says why.
    """
    # At low priority, because annotators' clicks go first.
    code = "import os; hasattr(os, 'nice') and os.nice(10); from toolkit.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        ) as process,
    ):
        watchdog = threading.Timer(HOURS * 3600, process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            for line in process.stdout or ():
                if line.strip():
                    say(line.strip())
            failed = process.wait() != 0
        finally:
            watchdog.cancel()
        complaints.seek(0)
        lines = [line.strip() for line in complaints if line.strip()] or ["no message"]
    if failed:
        raise InputError(f"declutter {' '.join(arguments[:2])} failed: {lines[-1]}")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
