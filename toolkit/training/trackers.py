"""Trackers of accelerate: figures of a run for TensorBoard and its like, beside log.jsonl."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import InputError
from toolkit.training.schedule import Schedule

if TYPE_CHECKING:
    from accelerate import Accelerator

FOLDER = "tracking"  # of a run, below its own


def tracker_options(name: str | None, out: Path) -> dict[str, Any]:
    """Arguments of ``Accelerator`` that name a tracker; none for None.

    Args:
        name: As accelerate knows it: tensorboard, wandb, mlflow ….
        out: Folder of the run.

    Raises:
        InputError: accelerate knows no such tracker, or its package is missing.
    """
    if name is None:
        return {}
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

    known = sorted(str(kind) for kind in LOGGER_TYPE_TO_CLASS)
    if name not in known:
        raise InputError(f"tracker '{name}': expected one of {', '.join(known)}")
    if name not in {str(kind) for kind in get_available_trackers()}:
        how = "'declutter[tracking]'" if name == "tensorboard" else name
        raise InputError(f"tracker '{name}': its package is not installed; pip install {how}")
    return {"log_with": name, "project_dir": str(out)}


@contextmanager
def tracking(accelerator: Accelerator, schedule: Schedule) -> Iterator[None]:
    """Open the accelerator's trackers with the schedule's settings, and close them at the block's end."""
    if accelerator.log_with:
        plain = (int, float, str, bool)
        settings = dataclasses.asdict(schedule).items()
        config = {name: value if isinstance(value, plain) else str(value) for name, value in settings}
        accelerator.init_trackers(FOLDER, config=config)
    try:
        yield
    finally:
        for tracker in accelerator.trackers:
            tracker.finish()
