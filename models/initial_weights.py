"""Weights of an earlier run for a network that goes on learning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from models.cpn import ProposalModel
from models.loading import load_network
from models.one_click import OneClickModel
from models.pvm import VerificationModel
from toolkit.errors import InputError


def initial_weights(model: nn.Module, source: Path) -> Mapping[str, Tensor] | Path:
    """What the training loop starts a network from.

    transformers writes some backbones' parameters under other names than it holds them (those of the hub's
    files), so that only its own reader finds them all.

    A click-free 1C-DSN may go on from one that sees clicks: it leaves out the weights of the click channels.
    A CPN or PVM that reads the backbone's own maps may go on from one that does not: what reads them keeps
    its zeros.

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
    if network is None:
        return source
    weights = network.state_dict()
    if isinstance(model, OneClickModel) and not model.config.click_embedding:
        return _without_click_channels(weights, model)
    if isinstance(model, ProposalModel | VerificationModel) and not network.config.stage_channels:
        first = {name: one for name, one in model.state_dict().items() if name.startswith("stages.")}
        return {**first, **weights}
    return weights


def _without_click_channels(weights: Mapping[str, Tensor], model: OneClickModel) -> dict[str, Tensor]:
    """What a click-free 1C-DSN takes over: of convolutions that read clicks, which come last, the rest."""
    return {
        name: weights[name][:, : own.shape[1]].clone() if own.ndim == 4 else weights[name]
        for name, own in model.state_dict().items()
        if name in weights
    }
