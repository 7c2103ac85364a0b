"""A backend around the made-up selection system: `python -m tests.helpers.serve_shapes --port N`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from annotation.backend.app import Backend, create_app
from annotation.backend.model import ModelHolder, Served
from annotation.backend.settings import BackendSettings, settings_from_environment
from annotation.backend.training import TrainingRuns
from annotation.label_studio import collect_annotations, deliver_prediction
from annotation.serve import host_names_for, run
from annotation.training_jobs import Outcome
from tests.helpers.selection_system import ShapesSystem


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--encode-seconds", type=float, default=0.0)
    parser.add_argument("--click-seconds", type=float, default=0.0)
    parser.add_argument("--held-bytes", type=int, default=0, help="memory that each scene really holds")
    arguments = parser.parse_args()
    system = ShapesSystem(arguments.encode_seconds, arguments.click_seconds)
    system.held_bytes = arguments.held_bytes
    settings = settings_from_environment(host_names=host_names_for("127.0.0.1"))
    holder = ModelHolder(lambda: Served(system, "shapes-1"))
    backend = Backend(settings, holder, made_up_training(settings, holder), deliver_prediction(settings))
    run(create_app(backend), "127.0.0.1", arguments.port)


def made_up_training(settings: BackendSettings, holder: ModelHolder) -> TrainingRuns | None:
    """Training that counts what Label Studio gives it, and always makes better weights: shapes-2."""
    if settings.state_dir is None:
        return None

    def count(tasks: list[dict[str, Any]], folder: Path, say: Callable[[str], None]) -> Outcome:
        say("counting")
        results = [annotation["result"] for task in tasks for annotation in task["annotations"]]
        counts = {
            "photos": sum(bool(task["annotations"]) for task in tasks),
            "regions": sum(map(len, results)),
        }
        return Outcome(True, weights=folder, version="shapes-2", counts=counts)

    def load(weights: Path, version: str) -> Served:
        return Served(ShapesSystem(), version)

    return TrainingRuns(settings.state_dir / "training", count, holder, load, collect_annotations(settings))


if __name__ == "__main__":
    main()
