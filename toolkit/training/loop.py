"""The training loop: one function, the same for every module, on CPU, one GPU or many."""

from __future__ import annotations

import dataclasses
import logging
import math
import random
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from accelerate.utils import gather_object, reduce, send_to_device

from toolkit.errors import InputError
from toolkit.training import checkpoints
from toolkit.training.ema import ExponentialMovingAverage
from toolkit.training.progress import Progress
from toolkit.training.schedule import Schedule, lr_factor
from toolkit.training.stream import batches
from toolkit.training.task import TrainingTask

logger = logging.getLogger("toolkit.training")

_KEEP_LAST = 2


class TrainingInterrupted(SystemExit):
    """A signal stopped training after a checkpoint was saved; the exit code is 128 + the signal's number."""


class _StopRequest:
    """Remembers the first SIGINT or SIGTERM; a second SIGINT interrupts at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self, number: int, _frame: object) -> None:
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = self.signal or number


@contextmanager
def _catching_signals() -> Iterator[_StopRequest]:
    request = _StopRequest()
    if threading.current_thread() is not threading.main_thread():  # Python handles signals there only
        yield request
        return
    previous = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def fit(
    task: TrainingTask,
    schedule: Schedule,
    out: Path,
    *,
    resume: bool,
    init_from: str | Path | Mapping[str, torch.Tensor] | None = None,
    max_minutes: float | None = None,
) -> dict[str, Any]:
    """Train `task.model` and save it to `out/final`.

    `out` receives checkpoints/ (the last two and the best), log.jsonl and final/. A run that was stopped, or killed
    at any moment, and then resumed ends with the same weights as one that was not: exactly on the CPU, on a GPU as
    far as its kernels are deterministic.

    Args:
        task: model, data, losses, validation.
        schedule: length, rate, precision, checkpoints.
        out: folder of the run, created where it is missing.
        resume: go on from the last checkpoint in `out`; where there is none, start.
        init_from: weights to start from (see `load_initial_weights`); not used when a checkpoint is resumed.
        max_minutes: save and leave after this long; None trains to the end.

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
    found = checkpoints.list_checkpoints(folder)
    if found and not resume:
        raise InputError(
            f"{out}: holds checkpoints of an earlier run; add --resume to go on, or give another folder"
        )
    accelerator = _make_accelerator(schedule)
    if schedule.batch_size % accelerator.num_processes:
        raise InputError(
            f"schedule field batch_size: expected a multiple of the {accelerator.num_processes} processes, "
            f"got {schedule.batch_size}"
        )
    run = _Run(task, schedule, folder, accelerator)
    if found:
        run.load(found[-1][1])
    elif init_from is not None:
        unmatched = checkpoints.load_initial_weights(run.raw, init_from)
        logger.info(
            "initial weights: %d missing, %d ignored", len(unmatched["missing"]), len(unmatched["ignored"])
        )
        run.restart_average()
    if accelerator.is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
    accelerator.wait_for_everyone()

    deadline = math.inf if max_minutes is None else started + 60 * max_minutes
    with (
        _catching_signals() as stop,
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


def _train(run: _Run, stop: _StopRequest, deadline: float, progress: Progress) -> None:
    """Run steps until the schedule's end, a signal or the deadline; checkpoint and validate on the way."""
    schedule, accelerator = run.schedule, run.accelerator
    if run.step >= schedule.steps:
        return
    loader = batches(
        run.task,
        first_step=run.step,
        steps=schedule.steps,
        batch_size=schedule.batch_size,
        workers=schedule.workers,
        rank=accelerator.process_index,
        processes=accelerator.num_processes,
        pin_memory=accelerator.device.type == "cuda",
    )
    last_save = time.monotonic()
    sums: dict[str, float] = {}
    counted = 0
    interval_start = time.monotonic()
    run.model.train()
    stream = iter(loader)
    while run.step < schedule.steps:
        try:
            batch = next(stream)
        except RuntimeError:  # the signal that stops us may have killed a worker that was still starting
            if stop.signal is None:
                raise
            return
        for name, value in run.train_step(batch).items():
            sums[name] = sums.get(name, 0.0) + value
        counted += 1
        progress.advance(run.step)

        if run.step % schedule.log_every == 0 or run.step == schedule.steps:
            run.last_losses = {name: value / counted for name, value in sums.items()}
            seconds = (time.monotonic() - interval_start) / counted
            rate = schedule.lr * lr_factor(run.step - 1, schedule)
            progress.record(run.step, {**run.last_losses, "lr": rate, "time": round(seconds, 4)})
            sums, counted, interval_start = {}, 0, time.monotonic()

        improved = False
        due = schedule.eval_every is not None and run.step % schedule.eval_every == 0
        if due or run.step == schedule.steps:
            improved = run.evaluate()
            if run.last_scores:
                progress.record(run.step, run.last_scores)

        now = time.monotonic()
        by_time = (
            schedule.checkpoint_minutes is not None and now - last_save >= 60 * schedule.checkpoint_minutes
        )
        by_step = schedule.checkpoint_steps is not None and run.step % schedule.checkpoint_steps == 0
        leave, save = run.agree(stop.signal is not None or now >= deadline, by_time or by_step or improved)
        if leave:
            return
        if save:
            run.save()
            last_save = time.monotonic()


class _Run:
    """Everything that changes while training, and how it is saved."""

    def __init__(
        self, task: TrainingTask, schedule: Schedule, folder: Path, accelerator: Accelerator
    ) -> None:
        self.task, self.schedule, self.folder, self.accelerator = task, schedule, folder, accelerator
        self.raw = task.model
        if schedule.channels_last:
            self.raw.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.raw.to(accelerator.device)
        self.average: ExponentialMovingAverage | None = None
        self.restart_average()
        optimizer = make_optimizer(task.parameter_groups(), schedule)
        self.scales = [group.get("lr_scale", 1.0) for group in optimizer.param_groups]
        self.model, self.optimizer = accelerator.prepare(self.raw, optimizer)
        self.step = 0
        self.best: dict[str, float] | None = None
        self.last_losses: dict[str, float] = {}
        self.last_scores: dict[str, float] = {}
        seed = schedule.seed + accelerator.process_index
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - libraries draw from the global one
        torch.manual_seed(seed)

    def restart_average(self) -> None:
        """Begin the moving average at the present weights."""
        if self.schedule.ema_decay is not None:
            self.average = ExponentialMovingAverage(self.raw, self.schedule.ema_decay)

    @property
    def averaged(self) -> torch.nn.Module:
        """The model to validate and to keep: the moving average, or the model itself where there is none."""
        if self.average is not None:
            return self.average.model
        return self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)

    def train_step(self, batch: Any) -> dict[str, float]:
        """Forward, backward, one optimiser step; returns the losses."""
        factor = lr_factor(self.step, self.schedule)
        for group, scale in zip(self.optimizer.param_groups, self.scales, strict=True):
            group["lr"] = self.schedule.lr * factor * scale
        batch = send_to_device(batch, self.accelerator.device, non_blocking=True)
        if self.schedule.channels_last:
            batch = _to_channels_last(batch)
        with self.accelerator.autocast():
            losses = self.task.losses(self.model, batch)
        values = {name: float(loss.detach()) for name, loss in losses.items()}
        if not math.isfinite(values["total"]):
            parts = ", ".join(f"{name} {value:g}" for name, value in values.items())
            raise FloatingPointError(
                f"the loss is not finite at step {self.step} ({parts}); the last checkpoint in {self.folder} is kept; "
                "lower lr, set clip_grad_norm, or look at the data of that step"
            )
        self.accelerator.backward(losses["total"])
        if self.schedule.clip_grad_norm is not None:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.schedule.clip_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update(self.raw)
        self.step += 1
        return values

    def evaluate(self) -> bool:
        """Validate on the main process; says whether the score is the best so far."""
        improved = False
        if self.accelerator.is_main_process:
            model = self.average.model if self.average is not None else self.raw
            with checkpoints.undisturbed_randomness(), torch.no_grad():
                model.eval()
                self.last_scores = {name: float(value) for name, value in self.task.evaluate(model).items()}
            score = self.last_scores.get("score")
            if score is not None and (self.best is None or score > self.best["score"]):
                self.best = {"step": self.step, "score": score}
                improved = True
        self.model.train()
        return improved

    def agree(self, *flags: bool) -> list[bool]:
        """Make every process take the same decisions: what one of them wants, all do."""
        if self.accelerator.num_processes == 1:
            return list(flags)
        wanted = torch.tensor(flags, dtype=torch.float32, device=self.accelerator.device)
        return [bool(value > 0) for value in reduce(wanted, reduction="sum").tolist()]

    def save(self) -> Path:
        """Write the checkpoint of this step (main process), with the random states of all processes."""
        states = gather_object([checkpoints.random_states()])
        path = self.folder / f"step-{self.step:08d}"
        if self.accelerator.is_main_process:
            for name, parameter in self.raw.named_parameters():
                if not bool(torch.isfinite(parameter).all()):
                    raise FloatingPointError(
                        f"weight {name} is not finite after step {self.step}; the last checkpoint in {self.folder} "
                        "is kept; lower lr or set clip_grad_norm"
                    )
            scaler = self.accelerator.scaler
            state = {
                "step": self.step,
                "model": self.raw.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "ema": None if self.average is None else self.average.state_dict(),
                "scaler": None if scaler is None else scaler.state_dict(),
                "random": states,
                "best": self.best,
                "schedule": dataclasses.asdict(self.schedule),
            }
            path = checkpoints.save_checkpoint(self.folder, self.step, state)
            best_step = None if self.best is None else int(self.best["step"])
            checkpoints.prune_checkpoints(self.folder, _KEEP_LAST, best_step)
        self.accelerator.wait_for_everyone()
        return path

    def load(self, path: Path) -> None:
        """Go on exactly from the checkpoint at `path`."""
        state = checkpoints.load_checkpoint(path)
        before, now = state["schedule"], dataclasses.asdict(self.schedule)
        changed = [f"{key} {before.get(key)!r} → {now[key]!r}" for key in now if before.get(key) != now[key]]
        if changed:
            logger.warning("resuming with another schedule than before: %s", "; ".join(changed))
        try:
            self.raw.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average is not None and state["ema"] is not None:
                self.average.load_state_dict(state["ema"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise InputError(
                f"{path}: belongs to another model or optimiser ({error}); give another folder"
            ) from error
        if self.average is not None and state["ema"] is None:
            self.restart_average()
        if self.accelerator.scaler is not None and state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.step, self.best = state["step"], state["best"]
        if self.accelerator.process_index < len(state["random"]):
            checkpoints.set_random_states(state["random"][self.accelerator.process_index])


def make_optimizer(groups: list[dict[str, Any]], schedule: Schedule) -> torch.optim.Optimizer:
    """Return the schedule's optimiser over the trainable parameters of `groups`."""
    trainable = []
    for group in groups:
        parameters = [parameter for parameter in group["params"] if parameter.requires_grad]
        if parameters:
            trainable.append({"weight_decay": schedule.weight_decay, **group, "params": parameters})
    if not trainable:
        raise InputError("the model has no trainable parameter; check which parts the recipe freezes")
    if schedule.optimizer == "sgd":
        return torch.optim.SGD(trainable, lr=schedule.lr, momentum=schedule.momentum)
    kind = torch.optim.AdamW if schedule.optimizer == "adamw" else torch.optim.Adam
    return kind(trainable, lr=schedule.lr, betas=schedule.betas)


def _make_accelerator(schedule: Schedule) -> Accelerator:
    # accelerate keeps the first precision of a process for good; a second run may want another one.
    AcceleratorState._reset_state()
    # A detector's step may leave a branch unused (no object in the batch): let DDP notice instead of waiting for it.
    handlers = [DistributedDataParallelKwargs(find_unused_parameters=True)]
    try:
        return Accelerator(mixed_precision=schedule.mixed_precision, kwargs_handlers=handlers)
    except ValueError as error:
        raise InputError(
            f"schedule field mixed_precision: {schedule.mixed_precision} cannot be used here ({error})"
        ) from error


def _to_channels_last(batch: Any) -> Any:
    """Put the float maps [N, C, H, W] of a batch into channels-last memory."""
    if isinstance(batch, Mapping):
        return {name: _to_channels_last(value) for name, value in batch.items()}
    if isinstance(batch, torch.Tensor) and batch.ndim == 4 and batch.is_floating_point():
        return batch.contiguous(memory_format=torch.channels_last)
    return batch
