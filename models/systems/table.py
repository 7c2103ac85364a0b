"""Which compared systems there are, and where they live; nothing is imported before it is asked for."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from toolkit.errors import InputError

if TYPE_CHECKING:
    from models.systems.clicking.definition import SystemDefinition

# Recipes' ``system`` to the place of a SystemDefinition; model_type in config.json is "declutter-" and that.
TRAINED: Mapping[str, str] = MappingProxyType(
    {
        "ritm": "models.systems.ritm:SYSTEM",
        "focalclick": "models.systems.focalclick:SYSTEM",
        "emc-click": "models.systems.emc_click:SYSTEM",
        "icmformer": "models.systems.icmformer:SYSTEM",
        "icmformer-pp": "models.systems.icmformer_pp:SYSTEM",
        "fusion": "models.systems.fusion:SYSTEM",
    }
)

# Names of systems that need no weights to the place of a function that makes them.
CLASSICAL: Mapping[str, str] = MappingProxyType(
    {
        "grabcut": "models.systems.classical:grabcut",
        "flood-fill": "models.systems.classical:flood_fill",
        "random-walker": "models.systems.classical:random_walker",
    }
)

MODEL_TYPE_PREFIX = "declutter-"


def definition(name: str) -> SystemDefinition:
    """The trained system with a name.

    Raises:
        InputError: There is none.
    """
    if name not in TRAINED:
        raise InputError(f"system '{name}': expected one of {', '.join(TRAINED)}")
    try:
        return _attribute(TRAINED[name])
    except ModuleNotFoundError as error:
        if error.name is None or not TRAINED[name].startswith(error.name):
            raise
        raise InputError(f"system '{name}': not part of this version of Declutter") from error


def system_of(folder: Path) -> str | None:
    """The name of the trained system whose weights a folder holds; None where it holds something else."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    kind = config.get("model_type") if isinstance(config, dict) else None
    name = kind.removeprefix(MODEL_TYPE_PREFIX) if isinstance(kind, str) else None
    return name if name in TRAINED else None


def _attribute(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)
