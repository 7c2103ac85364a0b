"""Everything that changes while a model trains: its step, its validation, how it is saved and loaded."""

from __future__ import annotations

import dataclasses
import logging
import math
import random
from collections.abc import Mapping
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
from toolkit.training.precision import precision_for
from toolkit.training.schedule import Schedule, lr_factor
from toolkit.training.task import TrainingTask

logger = logging.getLogger("toolkit.training")

_KEEP_LAST = 2


class TaskLosses(torch.nn.Module):
    """A task's losses as one forward pass: what distributes it must see every use of a weight.

    Args:
        task: whose losses.
        model: the task's.
    """

    def __init__(self, task: TrainingTask, model: torch.nn.Module) -> None:
        super().__init__()
        self.task, self.model = task, model

    def forward(self, batch: Any) -> dict[str, torch.Tensor]:
        """Scalar losses of a batch."""
        return dict(self.task.losses(self.model, batch))


class TrainingRun:
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
        self.losses, self.optimizer = accelerator.prepare(TaskLosses(task, self.raw), optimizer)
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
        return self.raw if self.average is None else self.average.model

    def train_step(self, batch: Any) -> dict[str, float]:
        """Forward, backward, one optimiser step; returns the losses."""
        factor = lr_factor(self.step, self.schedule)
        for group, scale in zip(self.optimizer.param_groups, self.scales, strict=True):
            group["lr"] = self.schedule.lr * factor * scale
        batch = send_to_device(batch, self.accelerator.device, non_blocking=True)
        if self.schedule.channels_last:
            batch = _to_channels_last(batch)
        with self.accelerator.autocast():
            losses = self.losses(batch)
        # One transfer for all of them: each would wait for the device.
        numbers = torch.stack([loss.detach().float().reshape(()) for loss in losses.values()]).tolist()
        values = dict(zip(losses, numbers, strict=True))
        if not math.isfinite(values["total"]):
            parts = ", ".join(f"{name} {value:g}" for name, value in values.items())
            raise FloatingPointError(
                f"the loss is not finite at step {self.step} ({parts}); the last checkpoint in {self.folder} "
                "is kept; lower lr, set clip_grad_norm, or look at the data of that step"
            )
        self.accelerator.backward(losses["total"])
        if self.schedule.clip_grad_norm is not None:
            self.accelerator.clip_grad_norm_(self.raw.parameters(), self.schedule.clip_grad_norm)
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
        self.raw.train()
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
                        f"weight {name} is not finite after step {self.step}; "
                        f"the last checkpoint in {self.folder} is kept; lower lr or set clip_grad_norm"
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
        return torch.optim.SGD(
            trainable, lr=schedule.lr, momentum=schedule.momentum, nesterov=schedule.nesterov
        )
    kind = torch.optim.AdamW if schedule.optimizer == "adamw" else torch.optim.Adam
    return kind(trainable, lr=schedule.lr, betas=schedule.betas)


def make_accelerator(schedule: Schedule, **options: Any) -> Accelerator:
    """Return accelerate's view of the devices and processes at hand, in the schedule's precision."""
    accelerator = _accelerator(schedule.mixed_precision, options)
    precision = precision_for(schedule.mixed_precision, accelerator.device.type)
    return accelerator if precision == schedule.mixed_precision else _accelerator(precision, options)


def _accelerator(precision: str, options: Mapping[str, Any]) -> Accelerator:
    # accelerate keeps the first precision of a process for good; a second run may want another one.
    AcceleratorState._reset_state()
    # A step may leave a branch unused (no object in the batch): let DDP notice instead of waiting for it.
    handlers = [DistributedDataParallelKwargs(find_unused_parameters=True)]
    return Accelerator(mixed_precision=precision, kwargs_handlers=handlers, **options)


def _to_channels_last(batch: Any) -> Any:
    """Put the float maps [N, C, H, W] of a batch into channels-last memory."""
    if isinstance(batch, Mapping):
        return {name: _to_channels_last(value) for name, value in batch.items()}
    if isinstance(batch, torch.Tensor) and batch.ndim == 4 and batch.is_floating_point():
        return batch.contiguous(memory_format=torch.channels_last)
    return batch
