"""Photos and their objects, drawn at random for training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolkit.errors import InputError
from toolkit.split import Annotation, ImageRecord, Split


@dataclass(frozen=True)
class PhotoObject:
    """One object of a photo: its record and its box.

    Attributes:
        annotation: The record, whose mask is decoded when asked.
        box: (x1, y1, x2, y2), pixels of the photo.
        group: Siblings share one; unique in the pool, because a picture may show two photos. Negative for an
            object of no group.
    """

    annotation: Annotation
    box: tuple[float, float, float, float]
    group: int

    @property
    def size(self) -> float:
        """Larger side of the box, pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])


class PhotoPool:
    """Draws photos of a split, and reads them with their objects.

    Args:
        split: Where the photos are.
        source_power: A source with n photos is drawn with weight n to this power: 1 draws photos evenly, less
            lets small sources speak.

    Raises:
        InputError: The split holds no photo with an object.
    """

    def __init__(self, split: Split, source_power: float = 0.7) -> None:
        self.split = split
        self.records: list[ImageRecord] = []
        self.objects: list[list[PhotoObject]] = []
        groups = 0
        for record in split.images:
            annotations = [a for a in split.annotations_of(record.id) if not a.iscrowd]
            own = sorted({a.group_id for a in annotations if a.group_id is not None})
            numbers = {group: groups + index for index, group in enumerate(own)}
            groups += len(own)
            objects = [o for a in annotations if (o := _photo_object(a, numbers)).size >= 2]
            if objects:
                self.records.append(record)
                self.objects.append(objects)
        if not self.records:
            raise InputError(f"{split.root}: no image with an object to train on; check its annotations.json")
        counts = Counter(record.source for record in self.records)
        weights = np.array([counts[record.source] ** (source_power - 1) for record in self.records])
        self._cumulative = np.cumsum(weights / weights.sum())

    def draw(self, rng: np.random.Generator) -> int:
        """Index of a random photo."""
        return min(int(np.searchsorted(self._cumulative, rng.random())), len(self.records) - 1)

    def image(self, index: int) -> np.ndarray:
        """The photo, uint8 ``[H, W, 3]``."""
        return self.split.open_image(self.records[index])

    def mask(self, index: int, item: PhotoObject) -> np.ndarray:
        """An object's mask in its photo, bool ``[H, W]``."""
        record = self.records[index]
        return item.annotation.mask(record.height, record.width)


def _photo_object(annotation: Annotation, numbers: Mapping[int, int]) -> PhotoObject:
    x, y, width, height = annotation.bbox or (0.0, 0.0, 0.0, 0.0)
    group = numbers[annotation.group_id] if annotation.group_id is not None else -annotation.id
    return PhotoObject(annotation, (x, y, x + width, y + height), group)
