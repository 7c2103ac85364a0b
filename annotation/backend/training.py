"""Fine-tune on what annotators made, in the background, and serve the result only if it is better."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotation.backend.model import ModelHolder, Served
from annotation.backend.webhooks import AnnotationStore
from annotation.training_jobs import Outcome
from toolkit.errors import InputError

logger = logging.getLogger(__name__)

Train = Callable[[list[dict[str, Any]], Path, Callable[[str], None]], Outcome]
"""Label Studio tasks and a folder to work in, to what came out; says what it is doing meanwhile."""

Collect = Callable[[str], list[dict[str, Any]]]
"""A project's number to its tasks with annotations, asked from Label Studio."""


@dataclass
class Run:
    """One training run."""

    id: int
    project: str
    state: str = "running"
    doing: str = "collecting annotations"
    started: float = field(default_factory=time.time)
    outcome: Outcome | None = None
    problem: str = ""

    def report(self) -> dict[str, Any]:
        """The run as JSON."""
        report: dict[str, Any] = {
            "id": self.id,
            "project": self.project,
            "state": self.state,
            "doing": self.doing,
            "seconds": round(time.time() - self.started, 1),
        }
        if self.problem:
            report["problem"] = self.problem
        if self.outcome is not None:
            report["outcome"] = self.outcome.report()
        return report


class TrainingRuns:
    """Starts training runs, one at a time.

    Args:
        folder: where runs work; each gets a folder of its own.
        train: does the work.
        model: gets the new weights, if they are better.
        load: makes a served system of a weights folder.
        collect: asks Label Studio for a project's annotations; without it, those that the webhook stored
            count.
    """

    def __init__(
        self,
        folder: Path,
        train: Train,
        model: ModelHolder,
        load: Callable[[Path, str], Served],
        collect: Collect | None = None,
    ) -> None:
        self._folder, self._train, self._model, self._load = folder, train, model, load
        self._collect = collect
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._runs: list[Run] = []

    def reports(self) -> list[dict[str, Any]]:
        """All runs since the start, the newest first."""
        with self._lock:
            return [run.report() for run in reversed(self._runs)]

    def start(self, project: str, store: AnnotationStore) -> int:
        """Begin a run on a project's annotations; returns its number.

        Raises:
            InputError: another run is under way.
        """
        with self._lock:
            if any(run.state == "running" for run in self._runs):
                raise InputError("a training run is under way; wait until it has finished (GET /training)")
            run = Run(next(self._numbers), project)
            self._runs.append(run)
        threading.Thread(
            target=self._run, args=(run, store), name=f"declutter-training-{run.id}", daemon=True
        ).start()
        return run.id

    def _run(self, run: Run, store: AnnotationStore) -> None:
        try:
            tasks = self._tasks(run.project, store)
            folder = self._folder / time.strftime(f"%Y%m%d-%H%M%S-{run.id}")

            def doing(what: str) -> None:
                run.doing = what
                logger.info("training run %d: %s", run.id, what)

            run.outcome = self._train(tasks, folder, doing)
            if run.outcome.better and run.outcome.weights is not None:
                doing("loading the new weights")
                self._model.replace(self._load(run.outcome.weights, run.outcome.version))
            run.doing = run.outcome.summary()
            run.state = "finished"
            logger.info("training run %d: %s", run.id, run.doing)
        except Exception as error:
            run.state, run.problem = "failed", str(error)
            logger.error(
                "training run %d failed: %s", run.id, error, exc_info=not isinstance(error, InputError)
            )

    def _tasks(self, project: str, store: AnnotationStore) -> list[dict[str, Any]]:
        if self._collect is not None:
            try:
                return self._collect(project)
            except Exception as error:  # noqa: BLE001 - what the webhook stored is the second best
                logger.warning("Label Studio gave no annotations (%s); using those it reported", error)
        return list(store.tasks(project))
