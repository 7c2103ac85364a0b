"""Load the selection system that a backend serves, or the better weights that training made of it."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from annotation.backend.model import ModelHolder, Served
from annotation.backend.settings import BackendSettings
from annotation.backend.training import Collect, TrainingRuns
from toolkit.errors import InputError
from toolkit.files import write_json_atomic
from toolkit.systems import fingerprint_of

logger = logging.getLogger(__name__)

SERVED = "served.json"
"""In the state folder: the weights that training has put in the place of the ones asked for."""


def load_system(source: str | None, loader: Callable[[str | None], Any] | None = None) -> Any:
    """A selection system by name or folder of weights; the bundled one by default.

    Args:
        source: a name, a folder or a hub id.
        loader: knows the names; without it, only SimpSON's weights are loaded.

    Raises:
        InputError: there is no such system.
    """
    if loader is not None:
        return loader(source)
    from models.selector import Selector

    return Selector.load(source)


def load_served(
    source: str | None, state_dir: Path | None, loader: Callable[[str | None], Any] | None = None
) -> Served:
    """The system to serve: the one asked for, or better weights that training made of it.

    Raises:
        InputError: it cannot be loaded.
    """
    better = better_weights(source, state_dir)
    if better is not None:
        weights, version = better
        try:
            return Served(load_system(str(weights), loader), version)
        except InputError as error:
            logger.warning("the weights of training cannot be loaded (%s); serving the ones before", error)
    system = load_system(source, loader)
    return Served(system, version_of(system))


def version_of(system: Any) -> str:
    """A model version that says which system and which weights: Label Studio groups predictions by it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", fingerprint_of(system)).strip("-")[:60] or "declutter"


def training_runs(
    settings: BackendSettings,
    holder: ModelHolder,
    collect: Collect | None = None,
    source: str | None = None,
) -> TrainingRuns | None:
    """Training for a backend, in its state folder; None without one, or for a system that is not SimpSON.

    Args:
        settings: of the backend.
        holder: gets the new weights.
        collect: asks Label Studio for annotations.
        source: of the system that is served, as `--system` says it.
    """
    if settings.state_dir is None or not (source is None or (Path(source) / "one-click").is_dir()):
        return None
    from annotation.training_jobs import fine_tune_and_compare

    state_dir = settings.state_dir

    def load(weights: Path, version: str) -> Served:
        served = Served(load_system(str(weights)), version)
        noted = {"weights": str(weights), "version": version, "source": source}
        write_json_atomic(state_dir / SERVED, noted)
        return served

    work = fine_tune_and_compare(settings, source=source)
    return TrainingRuns(state_dir / "training", work, holder, load, collect)


def better_weights(source: str | None, state_dir: Path | None) -> tuple[Path, str] | None:
    """What training has left in the state folder, if it went on from the system that is asked for."""
    if state_dir is None:
        return None
    try:
        noted = json.loads((state_dir / SERVED).read_text(encoding="utf-8"))
        weights, version, origin = Path(noted["weights"]), str(noted["version"]), noted.get("source")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        logger.warning("%s cannot be read (%s); serving the weights before", state_dir / SERVED, error)
        return None
    return (weights, version) if origin == source and weights.is_dir() else None
