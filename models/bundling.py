"""Sets of weights: a folder with the networks of `NETWORKS`, in half precision."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
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


def bundle_network(source: Path, name: str, out: Path) -> Path:
    """Write a trained network into a set as float16; a model card that is there already stays.

    Args:
        source: Folder written by ``save_pretrained``.
        name: ``one-click``, ``cpn``, ``pvm``, ``refiner``, ``chooser`` or ``judge``.
        out: Folder of the set.

    Returns:
        The network's folder in the set.

    Raises:
        InputError: The name is none of these, or the source holds no such network.
    """
    if name not in NETWORKS:
        raise InputError(f"name '{name}': expected one of {', '.join(NETWORKS)}")
    network = load_network(NETWORKS[name], source, None, torch.device("cpu"))
    if network is None:
        raise InputError(f"{source}: no trained network there; expected config.json and model.safetensors")
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    # written beside and then moved, so that the set never holds half a file
    with tempfile.TemporaryDirectory(dir=out) as temporary, without_progress_bars():
        network.half().save_pretrained(temporary)
        for path in sorted(Path(temporary).iterdir()):
            path.replace(folder / path.name)
    share_as_folder(folder)
    return folder
