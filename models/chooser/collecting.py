"""The chooser's lessons: what is proposed for clicks on a split's objects, and how right each proposal is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.chooser.features import FEATURES, features_of
from models.selector import Selector
from toolkit.clicks import center_click
from toolkit.data.progress import track
from toolkit.errors import InputError
from toolkit.files import atomic_path
from toolkit.masks import mask_iou
from toolkit.split import ImageRecord, Split


@dataclass(frozen=True)
class Choice:
    """One click: its N proposals.

    Attributes:
        features: float32 ``[N, len(FEATURES)]``, see :mod:`models.chooser.features`.
        ious: float32 ``[N]``, of each proposal with the clicked object.
    """

    features: np.ndarray
    ious: np.ndarray


def collect(split: Split, selector: Selector, out: Path, limit: int | None = None, seed: int = 0) -> int:
    """Click the middle of every object of some photos, and write a file for each photo.

    Photos that have a file already are left out, so a stopped run goes on.

    Args:
        split: Photos with masks.
        selector: Whose views and crops propose.
        out: Folder of the files, ``ID.npz``.
        limit: Photos, drawn at random; all by default.
        seed: Of that.

    Returns:
        How many photos have a file now.

    Raises:
        InputError: The split holds no object, or a photo can't be read.
    """
    records = [r for r in split.images if any(not a.iscrowd for a in split.annotations_of(r.id))]
    if not records:
        raise InputError("the split holds no object to click")
    order = np.random.default_rng(seed).permutation(len(records))[:limit]
    out.mkdir(parents=True, exist_ok=True)
    for index in track(order, "photos"):
        record = records[index]
        path = out / f"{record.id}.npz"
        if not path.exists():
            write_choices(path, choices_of(split, record, selector))
    return len(order)


def choices_of(split: Split, record: ImageRecord, selector: Selector) -> list[Choice]:
    """The choices of one photo: a click in the middle of each object for which anything is proposed."""
    annotations = [a for a in split.annotations_of(record.id) if not a.iscrowd]
    masks = [m for a in annotations if (m := a.mask(record.height, record.width)).any()]
    scene = selector.encode(split.open_image(record))
    choices = []
    for mask, items in zip(masks, scene.proposals([center_click(mask) for mask in masks]), strict=True):
        if items:
            found = (item.found.mask(record.height, record.width, item.scale) for item in items)
            ious = np.array([mask_iou(one, mask) for one in found], np.float32)
            choices.append(Choice(features_of(items), ious))
    return choices


def write_choices(path: Path, choices: list[Choice]) -> None:
    """Write the choices of one photo."""
    features = [choice.features for choice in choices] or [np.zeros((0, len(FEATURES)), np.float32)]
    ious = [choice.ious for choice in choices] or [np.zeros(0, np.float32)]
    counts = np.array([len(choice.ious) for choice in choices], np.int64)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, features=np.concatenate(features), ious=np.concatenate(ious), counts=counts)


def read_choices(folder: Path) -> list[Choice]:
    """The choices of all photos of a folder.

    Raises:
        InputError: The folder holds none, or those of another version.
    """
    choices: list[Choice] = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as arrays:
            features, ious, ends = arrays["features"], arrays["ious"], np.cumsum(arrays["counts"])
        if features.shape[1] != len(FEATURES):
            raise InputError(
                f"{path}: {features.shape[1]} features of a proposal, expected {len(FEATURES)}; "
                "collect it again"
            )
        for part, own in zip(np.split(features, ends[:-1]), np.split(ious, ends[:-1]), strict=True):
            if len(own):
                choices.append(Choice(part, own))
    if not choices:
        raise InputError(f"{folder}: no choices to learn from; collect them with `declutter models choices`")
    return choices
