"""The training loop: one function, the same for every module, on CPU, one GPU or many."""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from toolkit.errors import InputError
from toolkit.files import share_as_folder
from toolkit.training.checkpoints import list_checkpoints, load_initial_weights
from toolkit.training.progress import Means, Progress
from toolkit.training.run import TrainingRun, make_accelerator
from toolkit.training.schedule import Schedule, lr_factor
from toolkit.training.signals import StopRequest, TrainingInterrupted, catching_signals
from toolkit.training.stream import batches
from toolkit.training.task import TrainingTask
from toolkit.training.trackers import tracker_options, tracking

logger = logging.getLogger("toolkit.training")


def fit(
    task: TrainingTask,
    schedule: Schedule,
    out: Path,
    *,
    resume: bool,
    init_from: str | Path | Mapping[str, torch.Tensor] | None = None,
    max_minutes: float | None = None,
    tracker: str | None = None,
) -> dict[str, Any]:
    """Train `task.model` and save it to `out/final`.

    `out` receives checkpoints/ (the last two and the best), log.jsonl and final/. A run that was stopped, or
    killed at any moment, and then resumed ends with the same weights as one that was not: exactly on the CPU,
    on a GPU as far as its kernels are deterministic.

    Args:
        task: model, data, losses, validation.
        schedule: length, rate, precision, checkpoints.
        out: folder of the run, created where it is missing.
        resume: go on from the last checkpoint in `out`; where there is none, start.
        init_from: weights to start from (see `load_initial_weights`); not used when a checkpoint is resumed.
        max_minutes: save and leave after this long; None trains to the end.
        tracker: accelerate's name of a tracker that also gets what log.jsonl gets, below `out/tracking`.

    Returns:
        step, finished, losses (means of the last logged steps), scores (of the last validation), best
        ({"step", "score"} or None), checkpoint and final (paths or None), seconds.

    Raises:
        InputError: `out` holds checkpoints and `resume` is not set, or a setting cannot be used here.
        FloatingPointError: the loss or a weight is no longer finite; the last good checkpoint stays.
        TrainingInterrupted: SIGINT or SIGTERM came; the state was saved first.
    """
    started = time.monotonic()
    out = Path(out)
    folder = out / "checkpoints"
    found = list_checkpoints(folder)
    if found and not resume:
        raise InputError(
            f"{out}: holds checkpoints of an earlier run; add --resume to go on, or give another folder"
        )
    accelerator = make_accelerator(schedule, **tracker_options(tracker, out))
    if schedule.batch_size % accelerator.num_processes:
        raise InputError(
            f"schedule field batch_size: expected a multiple of the {accelerator.num_processes} processes, "
            f"got {schedule.batch_size}"
        )
    run = TrainingRun(task, schedule, folder, accelerator)
    if found:
        run.load(found[-1][1])
    elif init_from is not None:
        unmatched = load_initial_weights(run.raw, init_from)
        logger.info(
            "initial weights: %d missing, %d ignored", len(unmatched["missing"]), len(unmatched["ignored"])
        )
        run.restart_average()
    if accelerator.is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
    accelerator.wait_for_everyone()

    deadline = math.inf if max_minutes is None else started + 60 * max_minutes
    with (
        tracking(accelerator, schedule),
        catching_signals() as stop,
        Progress(out / "log.jsonl", run.step, schedule.steps, accelerator.is_main_process) as progress,
    ):
        _train(run, stop, deadline, progress)
        finished = run.step >= schedule.steps
        checkpoint = run.save()
    final = None
    if finished:
        final = out / "final"
        if accelerator.is_main_process:
            task.save(run.averaged, final)
            share_as_folder(final)
        accelerator.wait_for_everyone()
    elif stop.signal is not None:
        name = signal.Signals(stop.signal).name
        logger.warning("%s: saved step %d in %s; go on with --resume", name, run.step, checkpoint)
        raise TrainingInterrupted(128 + stop.signal)
    return {
        "step": run.step,
        "finished": finished,
        "losses": run.last_losses,
        "scores": run.last_scores,
        "best": run.best,
        "checkpoint": str(checkpoint),
        "final": None if final is None else str(final),
        "seconds": time.monotonic() - started,
    }


def _train(run: TrainingRun, stop: StopRequest, deadline: float, progress: Progress) -> None:
    """Run steps until the schedule's end, a signal or the deadline; checkpoint and validate on the way."""
    schedule, accelerator = run.schedule, run.accelerator
    if run.step >= schedule.steps:
        return
    stream = batches(
        run.task,
        first_step=run.step,
        steps=schedule.steps,
        batch_size=schedule.batch_size,
        workers=schedule.workers,
        rank=accelerator.process_index,
        processes=accelerator.num_processes,
        pin_memory=accelerator.device.type == "cuda",
    )
    run.raw.train()
    means = Means()
    last_save = time.monotonic()
    with closing(stream):
        for batch in stream:
            means.add(run.train_step(batch))
            progress.advance(run.step)
            at_end = run.step == schedule.steps

            if at_end or run.step % schedule.log_every == 0:
                run.last_losses, seconds = means.take()
                rate = schedule.lr * lr_factor(run.step - 1, schedule)
                _record(run, progress, {**run.last_losses, "lr": rate, "time": round(seconds, 4)})

            improved = False
            if at_end or _every(schedule.eval_every, run.step):
                improved = run.evaluate()
                _record(run, progress, run.last_scores, rare=True)

            now = time.monotonic()
            late = schedule.checkpoint_minutes and now - last_save >= 60 * schedule.checkpoint_minutes
            leave, save = run.agree(
                stop.signal is not None or now >= deadline,
                improved or bool(late) or _every(schedule.checkpoint_steps, run.step),
            )
            if leave:
                return
            if save:
                run.save()
                last_save = time.monotonic()


def _record(run: TrainingRun, progress: Progress, figures: Mapping[str, float], rare: bool = False) -> None:
    progress.record(run.step, figures, rare)
    run.accelerator.log(dict(figures), step=run.step)


def _every(period: int | None, step: int) -> bool:
    return period is not None and step % period == 0
