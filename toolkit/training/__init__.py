"""One training loop for every module: `fit(task, schedule, out, resume=…)`.

`Schedule` and the learning-rate function need no torch; `fit` is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.training.schedule import Schedule, lr_factor
from toolkit.training.task import TrainingTask

if TYPE_CHECKING:
    from toolkit.training.ema import ExponentialMovingAverage
    from toolkit.training.loop import TrainingInterrupted, fit

__all__ = ["ExponentialMovingAverage", "Schedule", "TrainingInterrupted", "TrainingTask", "fit", "lr_factor"]


def __getattr__(name: str) -> Any:
    if name in ("fit", "TrainingInterrupted"):
        from toolkit.training import loop

        return getattr(loop, name)
    if name == "ExponentialMovingAverage":
        from toolkit.training.ema import ExponentialMovingAverage

        return ExponentialMovingAverage
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
