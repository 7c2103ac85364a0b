"""The frozen 1C-DSN under CPN and PVM: it encodes pictures and supplies the masks that both learn from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from models.data.group_samples import GroupBatch, GroupObject
from models.loading import BUNDLED
from models.one_click import OneClickModel
from models.one_click.finder import EncodedImage, FoundObject, ObjectFinder
from toolkit.errors import InputError


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


def encode(model: OneClickModel, batch: GroupBatch, channels_last: bool) -> list[EncodedImage]:
    """Encode a batch with the frozen network, on the batch's device."""
    image = batch.image
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


def mask_and_box(
    found: FoundObject | None, truth: GroupObject | None, encoded: EncodedImage
) -> tuple[Tensor, Tensor] | None:
    """Coverage ``[H / 4, W / 4]`` and box ``[4]`` as predicted, or the true ones where nothing was found."""
    height, width = encoded.mask_features.shape[-2:]
    device = encoded.mask_features.device
    if found is not None:
        mask = torch.from_numpy(found.coverage(height, width))
        return mask.to(device), torch.tensor(found.box, device=device)
    if truth is None:
        return None
    mask = torch.from_numpy(truth.coverage).float() / 255
    rows, columns = (mask > 0).any(1).nonzero(), (mask > 0).any(0).nonzero()
    if len(rows) == 0:
        return None
    box = torch.cat([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).float() * 4
    return mask.to(device), box.to(device)
