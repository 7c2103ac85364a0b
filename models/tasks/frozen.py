"""The frozen 1C-DSN under CPN and PVM: it encodes pictures and supplies the masks that both learn from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from models.cpn import ProposalModel
from models.data.group_samples import GroupObject
from models.loading import BUNDLED, load_network
from models.one_click import OneClickModel
from models.one_click.finder import EncodedImage, ObjectFinder
from models.one_click.found_object import FoundObject
from models.stages import misfit
from toolkit.errors import InputError

SAME_OBJECT = 0.3  # IoU with the true mask, at stride 4, from which a predicted mask shows the object


def load_frozen(source: Path | None) -> OneClickModel:
    """Load a 1C-DSN, the bundled one by default, and freeze it.

    Raises:
        InputError: There is none.
    """
    folder = source or BUNDLED / "one-click"
    if not (folder / "config.json").is_file():
        raise InputError(f"one_click: no 1C-DSN in {folder}; train one first, then --set one_click=FOLDER")
    model = OneClickModel.from_pretrained(folder, dtype=torch.float32)
    return model.eval().requires_grad_(False)


def load_frozen_proposals(
    source: Path | None, one_click: Path | None, frozen: OneClickModel
) -> ProposalModel:
    """Load the CPN whose false proposals PVM learns from, and freeze it.

    Args:
        source: Its folder; by default ``cpn`` beside the 1C-DSN's folder, or the bundled one beside the
            bundled 1C-DSN.
        one_click: Folder of the 1C-DSN; None for the bundled one.
        frozen: The 1C-DSN.

    Raises:
        InputError: There is none, or it reads other features.
    """
    folder = source or (BUNDLED if one_click is None else one_click.parent) / "cpn"
    advice = "train one on this 1C-DSN, then --set cpn=FOLDER, or do without: --set false_proposals=0"
    if not (folder / "config.json").is_file():
        raise InputError(f"cpn: no CPN in {folder}; {advice}")
    model = load_network(ProposalModel, folder, None, torch.device("cpu"))
    if model is None:
        raise InputError(f"cpn: {folder} holds no CPN; {advice}")
    if expected := misfit(model, frozen):
        raise InputError(f"cpn: {folder} is no CPN for {expected}; {advice}")
    return model.requires_grad_(False)


def encode(model: OneClickModel, image: Tensor, channels_last: bool) -> list[EncodedImage]:
    """Encode pictures uint8 ``[B, 3, S, S]`` with the frozen network, on their device."""
    if model.device != image.device:
        model.to(image.device)  # type: ignore[arg-type]
    if channels_last:
        image = image.contiguous(memory_format=torch.channels_last)
    return ObjectFinder(model).encode_batch(image)


@torch.no_grad()
def predicted(
    model: OneClickModel, encoded: EncodedImage, points: Sequence[tuple[float, float]]
) -> list[FoundObject | None]:
    """The network's own object at each point."""
    return ObjectFinder(model).find(encoded, [[point] for point in points])


def masks_and_boxes(
    model: OneClickModel, encoded: EncodedImage, objects: Sequence[GroupObject], predict: bool
) -> list[tuple[Tensor, Tensor] | None]:
    """Coverage and box of each object, see :func:`mask_and_box`.

    Args:
        model: The network.
        encoded: The picture.
        objects: Of it.
        predict: Whether the network is asked; otherwise they are the true ones.
    """
    found: Sequence[FoundObject | None] = [None] * len(objects)
    if predict:
        found = predicted(model, encoded, [item.click for item in objects])
    return [mask_and_box(own, item, encoded) for own, item in zip(found, objects, strict=True)]


def mask_and_box(
    found: FoundObject | None, truth: GroupObject | None, encoded: EncodedImage
) -> tuple[Tensor, Tensor] | None:
    """Coverage ``[H / 4, W / 4]`` and box ``[4]`` as predicted.

    Where an object is known, its true ones stand in for a prediction that shows something else: what CPN and
    PVM learn of it would be wrong.
    """
    height, width = encoded.mask_features.shape[-2:]
    device = encoded.mask_features.device
    if found is not None:
        mask = torch.from_numpy(found.coverage(height, width))
        if truth is None or _iou(mask > 0.5, torch.from_numpy(truth.coverage) > 127) >= SAME_OBJECT:
            return mask.to(device), torch.tensor(found.box, device=device)
    if truth is None:
        return None
    mask = torch.from_numpy(truth.coverage).float() / 255
    rows, columns = (mask > 0).any(1).nonzero(), (mask > 0).any(0).nonzero()
    if len(rows) == 0:
        return None
    box = torch.cat([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).float() * 4
    return mask.to(device), box.to(device)


def _iou(a: Tensor, b: Tensor) -> float:
    union = (a | b).sum().item()
    return (a & b).sum().item() / union if union else 0.0
