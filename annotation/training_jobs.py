"""From annotators' work to better weights: make splits, fine-tune, compare on the part held back."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotation.backend.settings import BackendSettings
from annotation.exporting import Photo, export_tasks
from annotation.photo_sources import from_label_studio, in_folders
from toolkit.errors import InputError
from toolkit.split import Split, SplitWriter, read_split

logger = logging.getLogger(__name__)

PARTS = ("one-click", "cpn", "pvm")
HELD_BACK = 0.2  # of the photos, by name, so that a photo once held back is never learned from later
FEWEST_PHOTOS = 5
MARGIN = 0.005  # by how much the mean score must rise, so that noise does not change what is served
STEPS_VARIABLE = "DECLUTTER_TRAINING_STEPS"
STEPS = 300
LEARNING_RATE = 2e-4
HOURS = 12

Declutter = Callable[[Sequence[str]], None]
"""Runs a command line of `declutter`; raises InputError when it fails."""


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
    settings: BackendSettings, declutter: Declutter | None = None, weights: Path | None = None
) -> Callable[[list[dict[str, Any]], Path, Callable[[str], None]], Outcome]:
    """The work of a training run, for `TrainingRuns`.

    Args:
        settings: of the backend, for the photos.
        declutter: runs command lines; a process of its own each, by default.
        weights: what is served now; by default what an earlier run left, or the bundled weights.
    """
    run = declutter or run_declutter

    def work(tasks: list[dict[str, Any]], folder: Path, say: Callable[[str], None]) -> Outcome:
        say("writing splits")
        learn, held, counts = make_splits(tasks, folder, photo_source(settings))
        before = weights or served_weights(settings.state_dir)
        after = folder / "weights"
        fine_tune(learn, before, after, folder / "runs", run, say)
        say("comparing on the part held back")
        scores = [
            evaluate(held, which, folder / name, run)
            for name, which in (("before", before), ("after", after))
        ]
        version = f"finetuned-{time.strftime('%Y%m%d-%H%M%S')}"
        better = is_better(scores[0], scores[1])
        return Outcome(better, scores[0], scores[1], after, version, counts)

    return work


def photo_source(settings: BackendSettings) -> Photo:
    """Where a backend finds the photos of tasks again."""
    if settings.label_studio_url and settings.api_key:
        return from_label_studio(settings.label_studio_url, settings.api_key)
    return in_folders([root for root in settings.local_roots if root.is_dir()])


def make_splits(
    tasks: Sequence[Mapping[str, Any]], folder: Path, photo: Photo
) -> tuple[Path, Path, dict[str, int]]:
    """Write what annotators made as a split to learn from and one held back.

    Raises:
        InputError: there are too few annotated photos.
    """
    export_tasks(tasks, folder / "all", photo, overwrite=True)
    split = read_split(folder / "all")
    marked = [index for index, record in enumerate(split.images) if split.annotations_of(record.id)]
    if len(marked) < FEWEST_PHOTOS:
        raise InputError(
            f"{len(marked)} photos with annotations are too few to learn from; "
            f"annotate at least {FEWEST_PHOTOS}"
        )
    ranks = {index: _rank(split.images[index].file_name) for index in marked}
    held = [index for index in marked if ranks[index] < HELD_BACK] or [min(marked, key=ranks.__getitem__)]
    learn = [index for index in marked if index not in set(held)] or marked[:-1]
    counts = {}
    for name, indices in (("learn", learn), ("held-back", held)):
        part = split.subset(indices)
        counts[f"{name} photos"], counts[f"{name} objects"] = len(part), len(part.annotations)
        _copy(part, folder / name)
    return folder / "learn", folder / "held-back", counts


def fine_tune(
    learn: Path, before: Path, after: Path, runs: Path, run: Declutter, say: Callable[[str], None]
) -> None:
    """Fine-tune every network that the served weights have, one after the other.

    1C-DSN comes first; CPN and PVM learn on its features, so they follow it.
    """
    steps = int(os.environ.get(STEPS_VARIABLE) or STEPS)
    for part in PARTS:
        if not (before / part).is_dir():
            continue
        say(f"fine-tuning {part}")
        command = [
            "train",
            f"{part}-compact",
            "--out",
            str(runs / part),
            "--init-from",
            str(before / part),
            "--resume",
        ]
        values = {
            "data.train": learn,
            "schedule.steps": steps,
            "schedule.lr": LEARNING_RATE,
            "schedule.warmup_steps": max(1, steps // 20),
        }
        if part != "one-click":
            values["one_click"] = after / "one-click"
        for key, value in values.items():
            command += ["--set", f"{key}={value}"]
        run(command)
        shutil.copytree(runs / part / "final", after / part, dirs_exist_ok=True)
    if not after.is_dir():
        raise InputError(f"{before}: has none of {', '.join(PARTS)} to fine-tune")


def evaluate(held: Path, weights: Path, out: Path, run: Declutter) -> dict[str, float | None]:
    """Scores of weights on the part held back: mIoU of single clicks, AP and AR of groups."""
    run(["eval", "one-click", str(held), "--system", str(weights), "--out", str(out / "one-click")])
    scores = {"miou": _result(out / "one-click").get("miou")}
    if (weights / "cpn").is_dir():
        run(["eval", "groups", str(held), "--system", str(weights), "--out", str(out / "groups")])
        groups = _result(out / "groups")
        scores.update({"groups_ap": groups.get("ap"), "groups_ar": groups.get("ar")})
    return scores


def is_better(before: Mapping[str, float | None], after: Mapping[str, float | None]) -> bool:
    """Whether the mean of the scores that both have rose by more than the margin."""
    pairs = [(before.get(name), value) for name, value in after.items()]
    gains = [new - old for old, new in pairs if old is not None and new is not None]
    return bool(gains) and sum(gains) / len(gains) > MARGIN


def served_weights(state_dir: Path | None) -> Path:
    """The folder of the weights that are served: what training left last, or the bundled ones."""
    from annotation.systems import better_weights
    from models.loading import BUNDLED

    better = better_weights(None, state_dir)
    return better[0] if better is not None else BUNDLED


def run_declutter(arguments: Sequence[str]) -> None:
    """Run a command line of `declutter` in a process of its own, at low priority.

    Raises:
        InputError: it failed; the last line it wrote says why.
    """
    command = [sys.executable, "-c", "from toolkit.cli import main; main()", *arguments]

    def step_back() -> None:
        os.nice(10)  # annotators' clicks go first

    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HOURS * 3600,
        check=False,
        preexec_fn=step_back if hasattr(os, "nice") else None,
    )
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        raise InputError(f"declutter {' '.join(arguments[:2])} failed: {lines[-1]}")


def _copy(split: Split, out: Path) -> None:
    with SplitWriter(
        out, categories=split.categories, info=split.info, licenses=split.licenses, overwrite=True, link=True
    ) as writer:
        for record in split:
            writer.add_record(record, split.image_path(record), split.annotations_of(record.id))


def _rank(name: str) -> float:
    """A number in [0, 1) that depends on a name only."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32


def _result(out: Path) -> dict[str, Any]:
    return json.loads((out / "result.json").read_text(encoding="utf-8"))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
