"""Selection systems that need no weights: they know the truth of a split, and err where they are told to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from toolkit.clicks import Click
from toolkit.masks import mask_box, mask_to_rle
from toolkit.selection import Instance
from toolkit.split import Annotation, Split, SplitWriter, read_split


def box_mask(x: int, y: int, width: int, height: int, size: tuple[int, int] = (200, 200)) -> np.ndarray:
    """A filled rectangle, bool [H, W]."""
    mask = np.zeros(size, bool)
    mask[y : y + height, x : x + width] = True
    return mask


def object_of(mask: np.ndarray, **fields) -> Annotation:
    """An annotation of a mask."""
    return Annotation(category_id=1, segmentation=mask_to_rle(mask), **fields)


def write_objects(root: Path, photos: Sequence[Sequence[Annotation]], sources: Sequence[str] = ()) -> Split:
    """A split with a photo of noise, different each time, per list of annotations."""
    rng = np.random.default_rng(0)
    with SplitWriter(root, categories=[{"id": 1, "name": "thing"}]) as writer:
        for index, annotations in enumerate(photos):
            height, width = (200, 200)
            if annotations:
                height, width = annotations[0].segmentation["size"]
            image = rng.integers(0, 255, (height, width, 3)).astype(np.uint8)
            source = sources[index] if sources else None
            writer.add_image(image, annotations, file_name=f"photo{index}.png", source=source)
    return read_split(root)


Alter = Callable[[Annotation, np.ndarray], "tuple[np.ndarray, float] | None"]


def exactly(annotation: Annotation, mask: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Answer with the truth."""
    return mask, 0.9


class KnowingSystem:
    """Answers a click with the smallest object under it, as `alter` changes it (None: nothing found).

    `more` are masks and scores that every `select_similar` returns besides the siblings.
    """

    name = "knowing"

    def __init__(
        self, split: Split, alter: Alter = exactly, more: Sequence[tuple[np.ndarray, float]] = ()
    ) -> None:
        self.alter, self.more, self.encoded = alter, more, 0
        self._photos = {}
        for record in split:
            annotations = [
                (annotation, annotation.mask(record.height, record.width))
                for annotation in split.annotations_of(record.id)
            ]
            self._photos[split.open_image(record).tobytes()] = annotations

    def encode(self, image: np.ndarray) -> KnowingScene:
        self.encoded += 1
        return KnowingScene(self, image.shape[:2], self._photos[image.tobytes()])


class KnowingScene:
    def __init__(self, system: KnowingSystem, size: tuple[int, int], objects: list) -> None:
        self.system, self.objects = system, objects
        self.height, self.width = size

    def segment(self, clicks: Sequence[Click]) -> Instance | None:
        return self.segment_each(clicks[:1])[0]

    def segment_each(self, clicks: Sequence[Click]) -> list[Instance | None]:
        return [self._answer(self._under(click)) for click in clicks]

    def select_similar(self, click: Click) -> list[Instance]:
        clicked = self._under(click)
        if clicked is None:
            return []
        siblings = [pair for pair in self.objects if pair[0].group_id == clicked[0].group_id]
        found = [self._answer(pair) for pair in siblings]
        added = [Instance(mask, mask_box(mask), score) for mask, score in self.system.more]
        return [instance for instance in found if instance is not None] + added

    def _under(self, click: Click):
        under = [pair for pair in self.objects if pair[1][click.row, click.column]]
        return min(under, key=lambda pair: pair[1].sum(), default=None)

    def _answer(self, pair) -> Instance | None:
        answer = None if pair is None else self.system.alter(*pair)
        return None if answer is None else Instance(answer[0], mask_box(answer[0]), answer[1])
