"""Collect the chooser's lessons: what is proposed for clicks on a split's objects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.chooser.lessons import Lesson, lesson_of, write_lessons
from models.selector import Selector
from toolkit.evaluation.clicking import object_click
from toolkit.split import ImageRecord, Split


@dataclass(frozen=True)
class ChoiceCollector:
    """Clicks every object of a photo.

    Attributes:
        jitter: See :func:`lessons_of`.
        seed: Of the clicks.
    """

    jitter: float = 0.0
    seed: int = 0
    lacking: str = "no object to click"

    def fits(self, split: Split, record: ImageRecord) -> bool:
        """Whether the photo shows objects."""
        return any(not annotation.iscrowd for annotation in split.annotations_of(record.id))

    def write(self, path: Path, split: Split, record: ImageRecord, selector: Selector) -> None:
        """Write the lessons of a photo."""
        write_lessons(path, lessons_of(split, record, selector, self.jitter, self.seed))


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
