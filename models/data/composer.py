"""Compose training pictures: a crop of a photo at a random scale, with groups of cut-outs pasted in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.data.canvas import Canvas, CanvasObject, Window, place, warp_part
from models.data.paste import paste_group
from models.data.photometric import jitter_colours
from models.data.pool import PhotoObject, PhotoPool

# Pasted groups are numbered from here, above every group of a pool's photos.
FIRST_PASTED_GROUP = 1 << 40


@dataclass(frozen=True)
class ComposerConfig:
    """How training pictures are made.

    Attributes:
        smallest: Smallest larger side, in pixels, to which the crop's subject is scaled.
        largest: The largest.
        scale_limits: Bounds of the photo's own scale.
        smallest_cover: The photo's longer side is at least this part of the crop's.
        paste_probability: How often groups are pasted.
        groups: Pasted groups, at most.
        copies: Siblings in a pasted group, at most.
        mixed_donors: How often a pasted group shows different members of one group of a photo, instead of
            copies of one cut-out, which are more alike than siblings are.
        objects: Objects of the photo that are decoded, at most.
        colour_strength: Of the photometric changes.
        flip_vertical: Probability of turning the picture upside down; quarter turns get the same.
        exhaustive: Sources in which every object of a labelled category is labelled, so that what is not
            labelled is no sibling.
    """

    smallest: float = 10.0
    largest: float = 280.0
    scale_limits: tuple[float, float] = (0.25, 3.0)
    smallest_cover: float = 0.7
    paste_probability: float = 0.75
    groups: int = 3
    copies: int = 6
    mixed_donors: float = 0.5
    objects: int = 24
    colour_strength: float = 1.0
    flip_vertical: float = 0.1
    exhaustive: tuple[str, ...] = ("coco",)


class Composer:
    """Makes random pictures from a pool of photos."""

    def __init__(self, pool: PhotoPool, config: ComposerConfig) -> None:
        self.pool = pool
        self.config = config

    def compose(self, rng: np.random.Generator, size: int) -> Canvas:
        """A square picture of ``size`` pixels with its objects; the same for the same generator state."""
        index = self.pool.draw(rng)
        subject = self._draw_subject(index, rng)
        canvas = self._crop(index, subject, rng, size)
        if rng.random() < self.config.paste_probability:
            for group in range(int(rng.integers(1, self.config.groups + 1))):
                wanted = log_uniform(rng, self.config.smallest, min(self.config.largest, 0.5 * size))
                copies = int(rng.integers(1, self.config.copies + 1))
                if wanted > 0.25 * size:
                    copies = min(copies, 2)
                mixed = rng.random() < self.config.mixed_donors
                paste_group(canvas, self.pool, rng, FIRST_PASTED_GROUP + group, copies, wanted, mixed)
        if rng.random() < 0.5:
            canvas.flip(horizontal=True)
        if rng.random() < self.config.flip_vertical:
            canvas.flip(horizontal=False)
        if rng.random() < self.config.flip_vertical:
            canvas.rotate(int(rng.integers(1, 4)))
        canvas.image = jitter_colours(canvas.image, rng, self.config.colour_strength)
        return canvas

    def _draw_subject(self, index: int, rng: np.random.Generator) -> PhotoObject:
        """An object of the photo: group by group, so that one crowded group does not hide the others."""
        objects = self.pool.objects[index]
        if rng.random() < 0.5:
            return objects[int(rng.integers(len(objects)))]
        groups = sorted({item.group for item in objects})
        group = groups[int(rng.integers(len(groups)))]
        members = [item for item in objects if item.group == group]
        return members[int(rng.integers(len(members)))]

    def _crop(self, index: int, subject: PhotoObject, rng: np.random.Generator, size: int) -> Canvas:
        record = self.pool.records[index]
        wanted = log_uniform(rng, self.config.smallest, min(self.config.largest, 1.1 * size))
        scale = float(np.clip(wanted / subject.size, *self.config.scale_limits))
        # shrunk further, the photo would be a stamp on another one
        scale = max(scale, self.config.smallest_cover * size / max(record.height, record.width))
        window = self._window(record.height, record.width, subject, scale, rng, size)
        canvas = Canvas(np.zeros((size, size, 3), np.uint8))
        if record.height * scale < size or record.width * scale < size:
            self._fill(canvas, rng, size)  # the photo does not fill the crop: another one lies behind it
        self._show(canvas, index, window, rng)
        return canvas

    def _show(self, canvas: Canvas, index: int, window: Window, rng: np.random.Generator) -> None:
        """Put the part of a photo that the window shows onto the canvas, with its objects."""
        record = self.pool.records[index]
        place(self.pool.image(index), canvas.image, window)
        canvas.occlude(*window.cover(record.height, record.width))
        canvas.objects.extend(self._visible_objects(index, window, rng))

    def _window(
        self, height: int, width: int, subject: PhotoObject, scale: float, rng: np.random.Generator, size: int
    ) -> Window:
        side = size / scale
        x1, y1, x2, y2 = subject.box
        left = _offset(rng, (x1 + x2) / 2, width, side)
        top = _offset(rng, (y1 + y2) / 2, height, side)
        return Window(scale, left, top, size)

    def _fill(self, canvas: Canvas, rng: np.random.Generator, size: int) -> None:
        """Cover the whole canvas with a random photo."""
        index = self.pool.draw(rng)
        height, width = self.pool.records[index].height, self.pool.records[index].width
        scale = max(size / height, size / width) * rng.uniform(1.0, 1.5)
        left = rng.uniform(0, max(width - size / scale, 0))
        top = rng.uniform(0, max(height - size / scale, 0))
        self._show(canvas, index, Window(scale, left, top, size), rng)

    def _visible_objects(self, index: int, window: Window, rng: np.random.Generator) -> list[CanvasObject]:
        side = window.size / window.scale
        found = []
        for item in self.pool.objects[index]:
            x1, y1, x2, y2 = item.box
            if x1 < window.left + side and x2 > window.left and y1 < window.top + side and y2 > window.top:
                found.append(item)
        record = self.pool.records[index]
        complete = record.source in self.config.exhaustive and len(found) <= self.config.objects
        if len(found) > self.config.objects:
            chosen = rng.choice(len(found), self.config.objects, replace=False)
            found = [found[i] for i in sorted(chosen)]
        objects = []
        for item in found:
            part = self.pool.part(index, item)
            seen = warp_part(part, record.height, record.width, window)
            if seen.any():
                whole = part.area * window.scale**2
                kind = item.annotation.category_id
                objects.append(
                    CanvasObject(seen, item.group, whole, kind, index, complete and item.group >= 0)
                )
        return objects


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between low and high, every octave as likely as another."""
    return float(np.exp(rng.uniform(np.log(low), np.log(max(high, low)))))


def _offset(rng: np.random.Generator, center: float, length: float, side: float) -> float:
    """Where a crop of ``side`` starts along one axis so that it shows ``center``."""
    if side >= length:  # the photo lies somewhere inside the crop
        return float(rng.uniform(length - side, 0))
    start = center - side * rng.uniform(0.15, 0.85)
    return float(np.clip(start, 0, length - side))
