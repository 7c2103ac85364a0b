"""Sets of weights: a folder with the networks of `NETWORKS`, in half precision."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from models.chooser import ChooserModel
from models.cpn import ProposalModel
from models.judge import JudgeModel
from models.loading import load_network, without_progress_bars
from models.one_click import OneClickModel
from models.pvm import VerificationModel
from models.refiner import RefinerModel
from toolkit.errors import InputError
from toolkit.files import share_as_folder

NETWORKS: dict[str, type[PreTrainedModel]] = {
    "one-click": OneClickModel,
    "cpn": ProposalModel,
    "pvm": VerificationModel,
    "refiner": RefinerModel,
    "chooser": ChooserModel,
    "judge": JudgeModel,
}


def bundle_network(source: Path, name: str, out: Path, mean_with: Path | None = None) -> Path:
    """Write a trained network into a set as float16; a model card that is there already stays.

    Args:
        source: Folder written by ``save_pretrained``.
        name: ``one-click``, ``cpn``, ``pvm``, ``refiner``, ``chooser`` or ``judge``.
        out: Folder of the set.
        mean_with: Another such folder, of what ``source`` went on from: the mean of both is written.

    Returns:
        The network's folder in the set.

    Raises:
        InputError: The name is none of these, the source holds no such network, or the other one of another
            shape.
    """
    if name not in NETWORKS:
        raise InputError(f"name '{name}': expected one of {', '.join(NETWORKS)}")
    network = _load(name, source)
    if mean_with is not None:
        network.load_state_dict(mean_weights(network.state_dict(), _load(name, mean_with).state_dict()))
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    # written beside and then moved, so that the set never holds half a file
    with tempfile.TemporaryDirectory(dir=out) as temporary, without_progress_bars():
        network.half().save_pretrained(temporary)
        for path in sorted(Path(temporary).iterdir()):
            path.replace(folder / path.name)
    share_as_folder(folder)
    return folder


def mean_weights(weights: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The mean of two networks of one shape, of which one went on learning from the other.

    It often does better than both on what they have not seen; of networks that never were one it is noise.

    Raises:
        InputError: They differ in shape.

    Source: Wortsman et al., "Model soups" (2022), the uniform soup.
    """
    shapes, other_shapes = ({name: one.shape for name, one in own.items()} for own in (weights, others))
    if shapes != other_shapes:
        differs = min(name for name in shapes | other_shapes if shapes.get(name) != other_shapes.get(name))
        raise InputError(
            f"mean of weights: {differs} has shape {_said(shapes.get(differs))} in one and "
            f"{_said(other_shapes.get(differs))} in the other; expected networks of one configuration"
        )
    return {
        name: (one + others[name]) / 2 if one.is_floating_point() else one for name, one in weights.items()
    }


def _said(shape: torch.Size | None) -> str:
    return "none" if shape is None else str(list(shape))


def _load(name: str, source: Path) -> PreTrainedModel:
    network = load_network(NETWORKS[name], source, None, torch.device("cpu"))
    if network is None:
        raise InputError(f"{source}: no trained network there; expected config.json and model.safetensors")
    return network
