"""What a training run would be like: its size, its work and its time, from a few steps that are not kept."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from toolkit.training import Schedule, TrainingTask

# Pixels that a measured step may hold: a step of 16 pictures of 800 px would not fit a small machine.
MOST_PIXELS = 8 * 512 * 512
STEPS = 3  # measured, after one that warms up
LONGEST = 60.0  # seconds: no further step is begun after that


@dataclass(frozen=True)
class DryRun:
    """What was measured.

    Attributes:
        trainable: Parameters that learn.
        frozen: Parameters that do not.
        flops: Of the losses of one picture, forward; a multiplication and an addition count as two.
        losses: Of the first step.
        pictures: In a measured step.
        seconds_per_step: Of a whole batch, forward, backward and update.
        seconds_per_batch: To make the pictures of a whole batch, in one process.
        device: Where it ran.
    """

    trainable: int
    frozen: int
    flops: int
    losses: dict[str, float]
    pictures: int
    seconds_per_step: float
    seconds_per_batch: float
    device: str

    def seconds(self, schedule: Schedule, processes: int = 1) -> float:
        """Of the whole schedule; loader workers make pictures while a step runs, without any it waits."""
        if schedule.workers == 0:
            return schedule.steps * (self.seconds_per_step + self.seconds_per_batch)
        loading = self.seconds_per_batch / (schedule.workers * processes)
        return schedule.steps * max(self.seconds_per_step, loading)


def measured_pictures(batch_size: int, crop: int) -> int:
    """How many pictures of ``crop`` × ``crop`` pixels a measured step takes, at least one."""
    return max(1, min(batch_size, MOST_PIXELS // crop**2))


def measure(
    task: TrainingTask, schedule: Schedule, crop: int, clock: Callable[[], float] = time.perf_counter
) -> DryRun:
    """Count and measure a task.

    Args:
        task: Its model learns a few steps; do not use it afterwards.
        schedule: Of the run.
        crop: Side of the largest pictures, pixels.
        clock: Seconds.
    """
    from toolkit.training.run import TrainingRun, make_accelerator

    pictures = measured_pictures(schedule.batch_size, crop)
    share = schedule.batch_size / pictures
    last = schedule.steps * schedule.batch_size  # the run's last pictures are its largest
    accelerator = make_accelerator(schedule)
    networks = [value for value in vars(task).values() if isinstance(value, torch.nn.Module)]
    parameters = {id(p): p for network in networks for p in network.parameters()}.values()
    trainable = sum(p.numel() for p in task.model.parameters() if p.requires_grad)
    with tempfile.TemporaryDirectory() as folder:
        run = TrainingRun(task, replace(schedule, batch_size=pictures), Path(folder), accelerator)
        run.raw.train()
        with accelerator.autocast():
            flops = _flops_of_one(task, last - 1)
        making: list[float] = []
        learning: list[float] = []
        losses: dict[str, float] = {}
        began = clock()
        for step in range(STEPS + 1):
            start = clock()
            samples = [task.sample(last - 1 - step * pictures - index) for index in range(pictures)]
            batch = task.collate(samples)
            made = clock()
            values = run.train_step(batch)  # waits for the device: it reads the losses
            done = clock()
            making.append(made - start)
            learning.append(done - made)
            losses = losses or values
            if clock() - began > LONGEST:
                break
    return DryRun(
        trainable=trainable,
        frozen=sum(p.numel() for p in parameters) - trainable,
        flops=flops,
        losses=losses,
        pictures=pictures,
        seconds_per_step=share * _typical(learning),
        seconds_per_batch=share * _typical(making),
        device=str(accelerator.device),
    )


def _flops_of_one(task: TrainingTask, index: int) -> int:
    from accelerate.utils import send_to_device

    from toolkit.flops import count_flops

    device = next(task.model.parameters()).device
    batch = send_to_device(task.collate([task.sample(index)]), device)
    return count_flops(lambda: task.losses(task.model, batch))


def _typical(seconds: Sequence[float]) -> float:
    """The median of all but the first, which warms up."""
    later = sorted(seconds[1:] or seconds)
    return later[len(later) // 2]
