"""Photos and their objects, drawn at random for training."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from models.recently_used import RecentlyUsed
from toolkit.blending import PlacedMask
from toolkit.errors import InputError
from toolkit.masks import rle_counts
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
        cache_bytes: Memory for photos that stay decoded, those used last.

    Raises:
        InputError: The split holds no photo with an object.
    """

    def __init__(self, split: Split, source_power: float = 0.7, cache_bytes: int = 0) -> None:
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
        largest = max(record.height * record.width * 3 for record in self.records)
        self._decoded: RecentlyUsed[int, np.ndarray] = RecentlyUsed(cache_bytes // largest)
        counts = Counter(record.source for record in self.records)
        weights = np.array([counts[record.source] ** (source_power - 1) for record in self.records])
        self._cumulative = np.cumsum(weights / weights.sum())

    def draw(self, rng: np.random.Generator) -> int:
        """Index of a random photo."""
        return min(int(np.searchsorted(self._cumulative, rng.random())), len(self.records) - 1)

    def image(self, index: int) -> np.ndarray:
        """The photo, uint8 ``[H, W, 3]``, not to be written to."""
        known = self._decoded.get(index)
        if known is None:
            known = self._decode(self.records[index])
            known.flags.writeable = False
            self._decoded.keep(index, known)
        return known

    def _decode(self, record: ImageRecord) -> np.ndarray:
        photo = read_jpeg(self.split.image_path(record))
        fits = photo is not None and photo.shape == (record.height, record.width, 3)
        return photo if photo is not None and fits else self.split.open_image(record)

    def part(self, index: int, item: PhotoObject) -> PlacedMask:
        """An object's mask, cropped in its photo to the columns and rows of the object."""
        record = self.records[index]
        return rle_part(item.annotation.rle(record.height, record.width))


def read_jpeg(path: Path) -> np.ndarray | None:
    """A whole JPEG, upright, uint8 ``[H, W, 3]``; None of what is none, cut short, or neither RGB nor grey.

    The same pixels as those of :func:`toolkit.image.open_image`, in half of the time: OpenCV has the same
    decoder, but doesn't report what is damaged.
    """
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if data[:3] != b"\xff\xd8\xff" or data[-2:] != b"\xff\xd9":
        return None
    with Image.open(io.BytesIO(data)) as header:
        if header.mode not in ("RGB", "L"):  # of CMYK the two make different colours
            return None
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return None if decoded is None else cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB, dst=decoded)


def rle_part(rle: Mapping[str, Any]) -> PlacedMask:
    """Decode COCO RLE to the smallest crop that holds what is set; to one of no pixels when nothing is.

    Only the columns of the object are unpacked, which for a small one takes a tenth of the time.
    """
    height = int(rle["size"][0])
    runs = rle_counts(rle)
    ends = np.cumsum(runs)
    ons = np.flatnonzero(runs[1::2]) * 2 + 1
    if not len(ons):
        return PlacedMask(0, 0, np.zeros((0, 0), bool))
    first, last = ons[0], ons[-1]
    left, right = int(ends[first - 1]) // height, -(-int(ends[last]) // height)
    inner = runs[first - 1 : last + 2].copy()  # unset, set, …, set, unset: what the columns hold
    inner[0] = ends[first - 1] - left * height
    inner[last - first + 2 :] = right * height - ends[last]
    if last + 1 == len(runs):
        inner = np.append(inner, right * height - ends[last])
    values = (np.arange(len(inner)) & 1).astype(np.uint8)
    columns = np.repeat(values, inner).reshape(right - left, height)
    top, _, rows, _ = cv2.boundingRect(columns)
    mask = cv2.transpose(columns[:, top : top + rows]).view(bool)
    return PlacedMask(left, top, mask)


def _photo_object(annotation: Annotation, numbers: Mapping[int, int]) -> PhotoObject:
    x, y, width, height = annotation.bbox or (0.0, 0.0, 0.0, 0.0)
    group = numbers[annotation.group_id] if annotation.group_id is not None else -annotation.id
    return PhotoObject(annotation, (x, y, x + width, y + height), group)
