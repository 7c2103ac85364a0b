"""How long and how fast a module learns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from toolkit.errors import InputError


@dataclass(frozen=True)
class Schedule:
    """The settings of one training run.

    Attributes:
        steps: optimiser steps of the whole run.
        batch_size: samples per step, over all processes together.
        lr: peak learning rate; a parameter group's "lr_scale" multiplies it.
        weight_decay: of the groups that do not name their own.
        warmup_steps: steps over which the rate rises linearly from 1/warmup_steps of its peak.
        decay: "cosine" falls to `final_lr_fraction` at the last step; "step" multiplies by `gamma` at each of
            `milestones` (in steps); "constant" stays.
        ema_decay: decay of the moving average of the weights; None keeps none.
        mixed_precision: "bf16" works on GPUs and CPUs (float32 takes its place on CPUs that only emulate it),
            "fp16" (with a gradient scaler) on GPUs only.
        nesterov: whether SGD looks ahead along its momentum.
        workers: loader processes per training process; 0 loads in the training process itself.
        checkpoint_minutes: time between checkpoints; None for none by time.
        checkpoint_steps: steps between checkpoints; None for none by step.
        eval_every: steps between calls of the task's `evaluate`; None evaluates at the end only.
        log_every: steps between lines of log.jsonl; a line holds the means since the last one.
    """

    steps: int
    batch_size: int
    lr: float
    weight_decay: float = 0.05
    warmup_steps: int = 500
    decay: Literal["cosine", "step", "constant"] = "cosine"
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    final_lr_fraction: float = 0.01
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    momentum: float = 0.9
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    clip_grad_norm: float | None = None
    ema_decay: float | None = None
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    channels_last: bool = False
    workers: int = 1
    seed: int = 0
    checkpoint_minutes: float | None = 5.0
    checkpoint_steps: int | None = None
    eval_every: int | None = None
    log_every: int = 20

    def __post_init__(self) -> None:
        """Refuse values that no run can use, naming the field."""
        for name in ("steps", "batch_size", "log_every"):
            _require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        for name in ("checkpoint_steps", "eval_every"):
            value = getattr(self, name)
            _require(value is None or value >= 1, name, "at least 1, or nothing", value)
        for name in ("warmup_steps", "workers", "seed", "weight_decay", "gamma", "final_lr_fraction"):
            _require(getattr(self, name) >= 0, name, "0 or more", getattr(self, name))
        for name in ("clip_grad_norm", "checkpoint_minutes"):
            value = getattr(self, name)
            _require(value is None or value > 0, name, "above 0, or nothing", value)
        _require(self.lr > 0 and math.isfinite(self.lr), "lr", "above 0", self.lr)
        _require(
            self.ema_decay is None or 0 < self.ema_decay < 1, "ema_decay", "between 0 and 1", self.ema_decay
        )
        for name, allowed in _CHOICES.items():
            _require(
                getattr(self, name) in allowed, name, f"one of {', '.join(allowed)}", getattr(self, name)
            )
        object.__setattr__(self, "milestones", tuple(self.milestones))
        object.__setattr__(self, "betas", tuple(self.betas))
        _require(
            len(self.betas) == 2 and all(0 <= b < 1 for b in self.betas), "betas", "two in [0, 1)", self.betas
        )


_CHOICES = {
    "decay": ("cosine", "step", "constant"),
    "optimizer": ("adamw", "adam", "sgd"),
    "mixed_precision": ("no", "bf16", "fp16"),
}


def _require(holds: bool, field: str, expected: str, value: object) -> None:
    if not holds:
        raise InputError(f"schedule field {field}: expected {expected}, got {value!r}")


def lr_factor(step: int, schedule: Schedule) -> float:
    """Return the factor on the peak learning rate for the step that comes after `step` finished ones.

    Step 0 of a warm-up of W steps has 1/W, step W - 1 has 1. A cosine then falls from 1 at step W to
    `final_lr_fraction` at the last step; "step" counts the milestones that are not above `step`.
    """
    rise = (step + 1) / schedule.warmup_steps if step < schedule.warmup_steps else 1.0
    if schedule.decay == "step":
        return rise * schedule.gamma ** sum(milestone <= step for milestone in schedule.milestones)
    if schedule.decay == "constant" or step < schedule.warmup_steps:
        return rise
    span = schedule.steps - 1 - schedule.warmup_steps
    progress = min(1.0, (step - schedule.warmup_steps) / span) if span > 0 else 1.0
    low = schedule.final_lr_fraction
    return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * progress))
