"""The chooser's lessons: what is proposed for a click, and the object that was clicked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.agreement import agreed
from models.chooser.features import FEATURES, features_of
from models.chooser.lattice import CELLS, LIMIT, Lattice
from models.overlaps import overlaps
from models.placed_object import PlacedObject
from toolkit.errors import InputError
from toolkit.files import atomic_path

_STEPS = 127 / LIMIT  # int8 values per unit of a logit
_FULL = 255  # uint8 value of a cell that the object covers


@dataclass(frozen=True)
class Lesson:
    """One click: its N proposals and its object, on a lattice of K cells around what agrees best.

    Attributes:
        features: float32 ``[N, len(FEATURES)]``, see :mod:`models.chooser.features`.
        overlaps: float16 ``[N, N]``, IoUs of the proposals with each other.
        masks: int8 ``[N, K]``, logits of the proposals, ± 127 for ± `LIMIT`.
        beyond: float32 ``[N]``, cells of each proposal beyond the lattice.
        truth: uint8 ``[K]``, how much of each cell the object covers, 255 for all of it.
        area: Of the object, in cells; it may reach beyond the lattice.
    """

    features: np.ndarray
    overlaps: np.ndarray
    masks: np.ndarray
    beyond: np.ndarray
    truth: np.ndarray
    area: float

    @property
    def logits(self) -> np.ndarray:
        """Of the proposals' masks, float32 ``[N, K]``."""
        return self.masks.astype(np.float32) / np.float32(_STEPS)

    @property
    def coverage(self) -> np.ndarray:
        """How much of each cell the object covers, float32 ``[K]``, 0–1."""
        return self.truth.astype(np.float32) / np.float32(_FULL)

    def only(self, kept: np.ndarray) -> Lesson:
        """The same click with some of its proposals only.

        Args:
            kept: bool ``[N]``. The features, which tell of others as well, stay as they are.
        """
        return replace(
            self,
            features=self.features[kept],
            overlaps=self.overlaps[np.ix_(kept, kept)],
            masks=self.masks[kept],
            beyond=self.beyond[kept],
        )


def lesson_of(items: Sequence[PlacedObject], mask: np.ndarray) -> Lesson:
    """What a click on an object teaches.

    Args:
        items: Its proposals; at least one.
        mask: bool ``[H, W]``, the object in the whole photo.
    """
    iou = overlaps(items, items)
    lattice = Lattice.around(agreed(items) or items[0])
    logits = np.stack([lattice.logits(item).ravel() for item in items])
    areas = np.array([item.area for item in items]) / lattice.step**2
    return Lesson(
        features_of(items, iou),
        iou.astype(np.float16),
        np.round(logits * _STEPS).astype(np.int8),
        np.maximum(areas - (logits > 0).sum(1), 0).astype(np.float32),
        np.round(lattice.coverage(mask).ravel() * _FULL).astype(np.uint8),
        float(mask.sum()) / lattice.step**2,
    )


def write_lessons(path: Path, lessons: Sequence[Lesson]) -> None:
    """Write the lessons of one photo."""
    cells = CELLS * CELLS
    arrays = {
        "features": np.concatenate(
            [np.zeros((0, len(FEATURES)), np.float32), *(x.features for x in lessons)]
        ),
        "overlaps": np.concatenate([np.zeros(0, np.float16), *(x.overlaps.ravel() for x in lessons)]),
        "masks": np.concatenate([np.zeros((0, cells), np.int8), *(x.masks for x in lessons)]),
        "beyond": np.concatenate([np.zeros(0, np.float32), *(x.beyond for x in lessons)]),
        "truth": np.array([x.truth for x in lessons], np.uint8).reshape(-1, cells),
        "area": np.array([x.area for x in lessons], np.float32),
        "counts": np.array([len(x.beyond) for x in lessons], np.int64),
    }
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_lessons(folder: Path) -> list[Lesson]:
    """The lessons of all photos of a folder.

    Raises:
        InputError: The folder holds none, or those of another version.
    """
    lessons: list[Lesson] = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            arrays = dict(file)
        width = arrays["features"].shape[1] if "features" in arrays else 0
        if width != len(FEATURES) or "masks" not in arrays:
            raise InputError(
                f"{path}: lessons of another version, with {width} features of a proposal and "
                f"{'' if 'masks' in arrays else 'no '}masks; expected {len(FEATURES)} and masks; "
                "collect them again with `declutter models choices`"
            )
        lessons += _split(arrays)
    if not lessons:
        raise InputError(f"{folder}: no choices to learn from; collect them with `declutter models choices`")
    return lessons


def _split(arrays: dict[str, np.ndarray]) -> list[Lesson]:
    counts = arrays["counts"]
    if not len(counts):
        return []
    ends, squares = np.cumsum(counts)[:-1], np.cumsum(counts**2)[:-1]
    parts = (np.split(arrays[name], ends) for name in ("features", "masks", "beyond"))
    overlaps = np.split(arrays["overlaps"], squares)
    return [
        Lesson(features, iou.reshape(len(beyond), -1), masks, beyond, truth, float(area))
        for features, masks, beyond, iou, truth, area in zip(
            *parts, overlaps, arrays["truth"], arrays["area"], strict=True
        )
    ]
