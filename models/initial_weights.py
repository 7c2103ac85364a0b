"""Weights of an earlier run for a network that goes on learning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from models.loading import load_network
from toolkit.errors import InputError


def initial_weights(model: nn.Module, source: Path) -> Mapping[str, Tensor] | Path:
    """What the training loop starts a network from.

    transformers writes some backbones' parameters under other names than it holds them (those of the hub's
    files), so that only its own reader finds them all.

    Args:
        model: The network that will learn.
        source: A folder written by ``save_pretrained``, or any file or folder that the training loop reads.

    Returns:
        The weights by the names of the network's parameters, or the source itself for the loop to read.

    Raises:
        InputError: There is nothing, or a network of another kind.
    """
    if not source.exists():
        raise InputError(
            f"init_from {source}: no such weights; train the recipe before this one, or give --init-from"
        )
    if not isinstance(model, PreTrainedModel) or not (source / "config.json").is_file():
        return source
    network = load_network(type(model), source, None, torch.device("cpu"))
    return source if network is None else network.state_dict()
