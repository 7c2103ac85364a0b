"""Checkpoints: written whole or not at all, few kept, loaded exactly."""

from __future__ import annotations

import os
import pickle
import random
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from toolkit.errors import InputError

_NAME = re.compile(r"step-(\d+)$")
_STATE = "state.pt"
# What torch and safetensors raise on files that are damaged or something else.
_UNREADABLE = (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError, SafetensorError)


def list_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """Return (step, path) of the complete checkpoints in `folder`, oldest first."""
    found = []
    if folder.is_dir():
        for path in folder.iterdir():
            match = _NAME.match(path.name)
            if match and (path / _STATE).is_file():
                found.append((int(match[1]), path))
    return sorted(found)


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any]) -> Path:
    """Write `state` as the checkpoint of `step`: into a temporary folder, which is then renamed."""
    final = folder / f"step-{step:08d}"
    if (final / _STATE).is_file():
        return final
    temporary = folder / f".writing-{step:08d}-{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    with open(temporary / _STATE, "wb") as file:
        torch.save(dict(state), file)
        file.flush()
        os.fsync(file.fileno())
    shutil.rmtree(final, ignore_errors=True)  # left incomplete by something else
    os.replace(temporary, final)
    return final


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return the state saved in the checkpoint folder `path`, on the CPU."""
    try:
        return torch.load(path / _STATE, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise InputError(
            f"{path / _STATE}: not a readable checkpoint; delete this folder to resume from the one before"
        ) from error


def prune_checkpoints(folder: Path, keep_last: int, keep_step: int | None) -> None:
    """Delete all but the last `keep_last` checkpoints and that of `keep_step`, and unfinished ones."""
    for step, path in list_checkpoints(folder)[:-keep_last]:
        if step != keep_step:
            shutil.rmtree(path)
    for path in folder.glob(".writing-*"):
        shutil.rmtree(path, ignore_errors=True)


def random_states() -> dict[str, Any]:
    """Return the states of Python's, numpy's and torch's generators as plain lists and tensors."""
    kind, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 - the global one is what is kept
    states: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": [kind, [int(key) for key in keys], int(position), int(has_gauss), float(cached)],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def set_random_states(states: Mapping[str, Any]) -> None:
    """Put the generators back into states returned by `random_states`."""
    version, keys, gauss = states["python"]
    random.setstate((version, tuple(keys), gauss))
    kind, words, position, has_gauss, cached = states["numpy"]
    np.random.set_state((kind, np.asarray(words, np.uint32), position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


@contextmanager
def undisturbed_randomness() -> Iterator[None]:
    """Whatever runs inside leaves the random states as they were."""
    states = random_states()
    try:
        yield
    finally:
        set_random_states(states)


def load_initial_weights(
    model: torch.nn.Module, source: str | Path | Mapping[str, torch.Tensor]
) -> dict[str, list[str]]:
    """Copy weights that fit by name and shape into `model`.

    Args:
        model: receives them.
        source: a state dict; a .safetensors or .pt file; a folder with model.safetensors; or a checkpoint
            folder (its moving average where there is one).

    Returns:
        "missing" (in the model, not in the source) and "ignored" (in the source, absent or of another shape
        in the model), both lists of names.

    Raises:
        InputError: nothing readable there, or nothing in it fits.
    """
    weights = source if isinstance(source, Mapping) else _read_weights(Path(source))
    own = model.state_dict()
    fitting = {
        name: value for name, value in weights.items() if name in own and own[name].shape == value.shape
    }
    if not fitting:
        where = "the given weights" if isinstance(source, Mapping) else source
        raise InputError(
            f"{where}: no weight in it has a name and shape of this model; give weights of the same kind"
        )
    model.load_state_dict(fitting, strict=False)
    return {
        "missing": [name for name in own if name not in fitting],
        "ignored": [name for name in weights if name not in fitting],
    }


def _read_weights(path: Path) -> Mapping[str, torch.Tensor]:
    if path.is_dir():
        candidates = [path / "model.safetensors", path / _STATE]
        found = next((file for file in candidates if file.is_file()), None)
        if found is None:
            raise InputError(f"{path}: expected model.safetensors or {_STATE} in this folder")
        path = found
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; give a weights file or a folder that holds model.safetensors"
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise InputError(
            f"{path}: not a readable weights file; expected .safetensors or what torch.save wrote"
        ) from error
    if not isinstance(state, Mapping):
        raise InputError(f"{path}: expected a state dict (names and tensors) in this file")
    if isinstance(state.get("ema"), Mapping):
        return state["ema"]["model"]
    return state["model"] if isinstance(state.get("model"), Mapping) else state
