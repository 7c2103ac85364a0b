"""Collect the chooser's lessons: what is proposed for clicks on a split's objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.chooser.lessons import Lesson, lesson_of, write_lessons
from models.selector import Selector
from toolkit.data.progress import track
from toolkit.errors import InputError
from toolkit.evaluation.clicking import object_click
from toolkit.split import ImageRecord, Split


def collect(
    split: Split,
    selector: Selector,
    out: Path,
    limit: int | None = None,
    seed: int = 0,
    jitter: float = 0.0,
) -> int:
    """Click every object of some photos, and write a file for each photo.

    Photos that have a file already are left out, so a stopped run goes on.

    Args:
        split: Photos with masks.
        selector: Whose views and crops propose.
        out: Folder of the files, ``ID.npz``.
        limit: Photos, drawn at random; all by default.
        seed: Of that, and of the clicks.
        jitter: See :func:`lessons_of`.

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
            write_lessons(path, lessons_of(split, record, selector, jitter, seed))
    return len(order)


def lessons_of(
    split: Split, record: ImageRecord, selector: Selector, jitter: float = 0.0, seed: int = 0
) -> list[Lesson]:
    """The lessons of one photo: a click on each object for which anything is proposed.

    Args:
        split: Of the photo.
        record: The photo.
        selector: Whose views and crops propose.
        jitter: How far from the middle clicks may lie: each has a spread of its own from 0 to so much of the
            object's radius (see :class:`toolkit.evaluation.clicking.Aim`), as some people aim better than
            others.
        seed: Of that.
    """
    rng = np.random.default_rng([seed, record.id])
    annotations = [a for a in split.annotations_of(record.id) if not a.iscrowd]
    masks = [m for a in annotations if (m := a.mask(record.height, record.width)).any()]
    scene = selector.encode(split.open_image(record))
    proposed = scene.proposals([object_click(mask, rng.uniform(0, jitter), rng) for mask in masks])
    return [lesson_of(items, mask) for items, mask in zip(proposed, masks, strict=True) if items]
