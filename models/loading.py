"""Load networks from a folder or a hub id, and systems by name."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from safetensors import SafetensorError
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from toolkit.errors import InputError

if TYPE_CHECKING:
    from toolkit.systems import System

BUNDLED = Path(__file__).parent / "bundled"

Network = TypeVar("Network", bound=PreTrainedModel)


def load_network(
    kind: type[Network], root: str | os.PathLike[str], part: str | None, device: torch.device
) -> Network | None:
    """A network in evaluation mode, float32; None where there is none."""
    path = Path(root)
    # output_loading_info makes it return a pair, which its type does not say
    load: Callable[..., tuple[Network, dict[str, Any]]] = partial(  # type: ignore[assignment]
        kind.from_pretrained, dtype=torch.float32, output_loading_info=True
    )
    try:
        if path.is_dir():
            folder = path / part if part else path
            if not (folder / "config.json").is_file():
                return None
            _check_kind(kind, folder)
            with without_progress_bars():
                model, info = load(folder)
        else:
            model, info = load(str(root), subfolder=part or "")
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        if not path.is_dir():
            return None
        raise InputError(f"weights '{root}': can't load {part or 'the network'} ({error})") from error
    if missing := info["missing_keys"]:
        raise InputError(
            f"weights '{root}': {part or 'the network'} lacks {len(missing)} parameters, such as "
            f"{min(missing)}; expected what save_pretrained wrote"
        )
    model.to(device)  # type: ignore[arg-type]  # the decorator of transformers hides the signature
    return model.eval()


def _check_kind(kind: type[Network], folder: Path) -> None:
    """Refuse the folder of another network, into which transformers would put random weights.

    Raises:
        ValueError: The folder's config.json names another network.
    """
    found = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    expected = getattr(kind.config_class, "model_type", None)
    if found != expected:
        raise ValueError(f"config.json says model_type {found}, expected {expected}")


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Keep transformers from drawing a bar for every small file."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def fingerprint(networks: Sequence[PreTrainedModel], *settings: object) -> str:
    """A short text that changes with the networks' weights and with the settings."""
    digest = hashlib.sha256()
    for network in networks:
        for name, value in network.state_dict().items():
            digest.update(name.encode())
            digest.update(value.cpu().contiguous().numpy().tobytes())
    digest.update(repr(settings).encode())
    return digest.hexdigest()[:16]


def load_system(name: str | None) -> System:
    """The system with a name.

    Args:
        name: ``simpson`` or None for the bundled SimpSON; a classical system (``grabcut``, ``flood-fill``,
            ``random-walker``); else a folder or hub id with the weights of SimpSON or of a compared system.

    Raises:
        InputError: There is no such system and no such weights.
    """
    from models.selector import Selector
    from models.systems.loading import load_compared

    if name is not None and (compared := load_compared(name)) is not None:
        return compared
    return Selector.load(None if name in (None, Selector.name) else name)
