"""The judge's lessons: what clicks on a split's groups select, and how right each of it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.judge.features import FEATURES, Selection, features_of
from models.scene import PhotoScene
from models.selector import Selector
from toolkit.clicks import center_click
from toolkit.errors import InputError
from toolkit.files import atomic_path
from toolkit.masks import mask_iou
from toolkit.split import ImageRecord, Split

LEAST_IOU = 0.5  # from which an object counts as found


@dataclass(frozen=True)
class JudgeLesson:
    """One click: the N objects that it selected, the clicked one first.

    Attributes:
        features: float32 ``[N, len(FEATURES)]``, see :mod:`models.judge.features`.
        alike: float32 ``[N, N]``, PVM's similarity of each with each.
        right: float32 ``[N]``, IoU with the sibling that it is, 0–1; 0 for what is none, or none that another
            is not more.
    """

    features: np.ndarray
    alike: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class SelectionCollector:
    """Clicks members of each group of a photo.

    Attributes:
        clicks: Members of a group that are clicked, one after the other, at most.
        seed: Of which ones.
    """

    clicks: int = 1
    seed: int = 0
    lacking: str = "no groups; objects of one kind need a common group_id"

    def fits(self, split: Split, record: ImageRecord) -> bool:
        """Whether the photo shows groups."""
        return bool(_groups(split, record))

    def write(self, path: Path, split: Split, record: ImageRecord, selector: Selector) -> None:
        """Write the lessons of a photo."""
        write_lessons(path, lessons_of(split, record, selector, self.clicks, self.seed))


def lessons_of(
    split: Split, record: ImageRecord, selector: Selector, clicks: int = 1, seed: int = 0
) -> list[JudgeLesson]:
    """The lessons of one photo: a click in the middle of each of some members of its groups.

    Args:
        split: Of the photo.
        record: The photo.
        selector: What selects.
        clicks: Members of a group that are clicked, at most.
        seed: Of which ones.
    """
    scene = selector.encode(split.open_image(record))
    config = selector.models.config.before_judge()
    lessons = []
    for group, masks in _groups(split, record).items():
        rng = np.random.default_rng([seed, record.id, group])
        for place in rng.permutation(len(masks))[:clicks]:
            selection = scene.selection(center_click(masks[place]), config=config)
            if selection is not None:
                others = [mask for index, mask in enumerate(masks) if index != place]
                lessons.append(lesson_of(selection, [masks[place], *others], scene))
    return lessons


def lesson_of(selection: Selection, siblings: Sequence[np.ndarray], scene: PhotoScene) -> JudgeLesson:
    """What a selection teaches.

    Args:
        selection: The clicked object first.
        siblings: bool ``[H, W]``, the objects that it should hold, the clicked one first.
        scene: Of the photo.
    """
    ious = np.zeros((len(selection.candidates), len(siblings)))
    for row, candidate in enumerate(selection.candidates):
        shown = candidate.shown
        mask = shown.found.mask(scene.height, scene.width, shown.scale)
        ious[row] = [mask_iou(mask, sibling) for sibling in siblings]
    return JudgeLesson(features_of(selection), selection.alike.astype(np.float32), rightness(ious))


def rightness(ious: np.ndarray) -> np.ndarray:
    """How right each candidate is, float32 ``[N]``.

    Args:
        ious: ``[N, M]`` of candidates and siblings, the clicked one first in both: it is right only as what
            was clicked, and what else is found there is wrong. Of the others, those that meet best belong
            together.
    """
    right = np.zeros(len(ious), np.float32)
    right[0] = ious[0, 0] if ious[0, 0] >= LEAST_IOU else 0
    left = np.array(ious, float)
    left[0], left[:, 0] = 0, 0
    while left.size and left.max() >= LEAST_IOU:
        row, column = np.unravel_index(left.argmax(), left.shape)
        right[row] = left[row, column]
        left[row], left[:, column] = 0, 0
    return right


def _groups(split: Split, record: ImageRecord) -> dict[int, list[np.ndarray]]:
    """The masks of each group's members, bool ``[H, W]``; no crowds, none empty."""
    groups: dict[int, list[np.ndarray]] = {}
    for annotation in split.annotations_of(record.id):
        if annotation.group_id is not None and not annotation.iscrowd:
            mask = annotation.mask(record.height, record.width)
            if mask.any():
                groups.setdefault(annotation.group_id, []).append(mask)
    return groups


def write_lessons(path: Path, lessons: Sequence[JudgeLesson]) -> None:
    """Write the lessons of one photo."""
    arrays = {
        "features": np.concatenate(
            [np.zeros((0, len(FEATURES)), np.float32), *(x.features for x in lessons)]
        ),
        "alike": np.concatenate([np.zeros(0, np.float32), *(x.alike.ravel() for x in lessons)]),
        "right": np.concatenate([np.zeros(0, np.float32), *(x.right for x in lessons)]),
        "counts": np.array([len(x.right) for x in lessons], np.int64),
    }
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_lessons(folder: Path) -> list[JudgeLesson]:
    """The lessons of all photos of a folder.

    Raises:
        InputError: The folder holds none, or those of another version.
    """
    lessons: list[JudgeLesson] = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            arrays = dict(file)
        width = arrays["features"].shape[1] if "features" in arrays else 0
        if width != len(FEATURES) or "right" not in arrays:
            raise InputError(
                f"{path}: no lessons of this judge, which knows {len(FEATURES)} features of a candidate; "
                "collect them again with `declutter models selections`"
            )
        counts = arrays["counts"]
        ends, squares = np.cumsum(counts), np.cumsum(counts**2)
        lessons += [
            JudgeLesson(features, alike.reshape(len(right), -1), right)
            for features, alike, right in zip(
                np.split(arrays["features"], ends)[:-1],
                np.split(arrays["alike"], squares)[:-1],
                np.split(arrays["right"], ends)[:-1],
                strict=True,
            )
        ]
    if not lessons:
        raise InputError(
            f"{folder}: no selections to learn from; collect them with `declutter models selections`"
        )
    return lessons
