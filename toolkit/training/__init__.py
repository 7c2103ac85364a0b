"""One training loop for every module: `fit(task, schedule, out, resume=…)`.

`Schedule` and the learning-rate function need no torch; `fit` is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.training.schedule import Schedule, lr_factor
from toolkit.training.task import TrainingTask

if TYPE_CHECKING:
    from toolkit.training.ema import ExponentialMovingAverage
    from toolkit.training.loop import fit
    from toolkit.training.signals import TrainingInterrupted

__all__ = ["ExponentialMovingAverage", "Schedule", "TrainingInterrupted", "TrainingTask", "fit", "lr_factor"]


def __getattr__(name: str) -> Any:
    if name == "fit":
        from toolkit.training.loop import fit

        return fit
    if name == "TrainingInterrupted":
        from toolkit.training.signals import TrainingInterrupted

        return TrainingInterrupted
    if name == "ExponentialMovingAverage":
        from toolkit.training.ema import ExponentialMovingAverage

        return ExponentialMovingAverage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
