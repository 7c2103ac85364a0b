"""Load a compared system by name, or from the folder of its weights."""

from __future__ import annotations

import importlib
from pathlib import Path

import torch

from models.loading import BUNDLED, load_network
from models.systems.clicking.system import InteractiveSystem
from models.systems.table import CLASSICAL, TRAINED, definition, system_of
from toolkit.errors import InputError


def load_compared(name: str, device: str | torch.device | None = None) -> InteractiveSystem | None:
    """A compared system; None where the name is no such system and no folder with one.

    Args:
        name: A classical system, a folder that ``declutter train`` wrote, or a system with bundled weights.
        device: Where to run; a GPU when there is one, by default.

    Raises:
        InputError: The system has no weights here, or they can't be read.
    """
    if name in CLASSICAL:
        module, _, attribute = CLASSICAL[name].partition(":")
        return InteractiveSystem(name, getattr(importlib.import_module(module), attribute)())
    folder = Path(name)
    if name in TRAINED and not folder.is_dir():
        folder = BUNDLED / name
        if not folder.is_dir():
            raise InputError(
                f"system '{name}': no weights of it are bundled; train it (`declutter train {name}-compact`) "
                "and give the folder of its weights, such as runs/NAME/final"
            )
    kind = system_of(folder)
    if kind is None:
        return None
    target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    found = definition(kind)
    network = load_network(found.network, folder, None, target)  # type: ignore[arg-type]  # a class
    if network is None:
        raise InputError(
            f"weights '{name}': nothing to load in {folder}; expected what save_pretrained wrote"
        )
    return InteractiveSystem(kind, found.stepper(network), network, found.scene)
