"""A selection system for the backend's tests: coloured shapes on a grey photo, counted and slowed at will."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import cv2
import numpy as np
from scipy import ndimage

from toolkit.clicks import Click
from toolkit.masks import mask_box
from toolkit.selection import Instance

BACKGROUND = 120
TOLERANCE = 60  # JPEG and noise stay below, colours lie further apart
RED, GREEN, BLUE = (220, 40, 30), (40, 190, 60), (50, 60, 220)


def shapes_photo(
    discs: Sequence[tuple[int, int, int, tuple[int, int, int]]],
    height: int = 240,
    width: int = 320,
    seed: int = 0,
    hole: int = 0,
) -> np.ndarray:
    """Discs (x, y, radius, colour), each with a hole of radius `hole`, on noisy grey; uint8 [H, W, 3]."""
    image = np.random.default_rng(seed).integers(110, 130, (height, width, 1)).astype(np.uint8).repeat(3, 2)
    rows, columns = np.indices((height, width))
    for x, y, radius, colour in discs:
        distance = np.hypot(columns + 0.5 - x, rows + 0.5 - y)
        image[(distance <= radius) & (distance >= hole)] = colour
    return image


class ShapesScene:
    """Shapes by colour; siblings have the same colour. Negative clicks are cut out of what is segmented."""

    def __init__(self, system: ShapesSystem, image: np.ndarray) -> None:
        self.system = system
        self.height, self.width = image.shape[:2]
        smooth = cv2.medianBlur(image, 3).astype(int)
        self._colour = np.zeros(image.shape[:2], dtype=np.int32)  # [H, W] 0: background
        for number, colour in enumerate((RED, GREEN, BLUE), start=1):
            self._colour[np.abs(smooth - colour).max(axis=2) < TOLERANCE] = number
        self._held = np.ones(system.held_bytes, dtype=np.uint8)
        self.nbytes = system.scene_bytes or self._colour.nbytes + self._held.nbytes

    def segment(self, clicks: Sequence[Click]) -> Instance | None:
        self.system.note("segment")
        positive = [click for click in clicks if click.positive]
        mask = np.zeros((self.height, self.width), dtype=bool)
        for click in positive:
            mask |= self._shape(click)
        return self._instance(mask, 0.95, positive[0]) if mask.any() else None

    def segment_each(self, clicks: Sequence[Click]) -> list[Instance | None]:
        return [self.segment([click]) for click in clicks]

    def select_similar(self, click: Click, negatives: Sequence[Click] = ()) -> list[Instance]:
        self.system.note("select_similar")
        self.system.negatives.append(list(negatives))
        clicked = self.segment([click])
        if clicked is None:
            return []
        shapes, count = ndimage.label(self._colour == self._colour[click.row, click.column])
        own = shapes[click.row, click.column]
        others = [number for number in range(1, count + 1) if number != own]
        return [clicked, *(self._instance(shapes == n, 0.9 - 0.001 * i, None) for i, n in enumerate(others))]

    def propose(self) -> list[Instance]:
        self.system.note("propose")
        found = []
        for colour in range(1, self._colour.max() + 1):
            shapes, count = ndimage.label(self._colour == colour)
            found += [self._instance(shapes == n, 0.8, None, colour) for n in range(1, count + 1)]
        return [one for one in found if one.mask.sum() >= 9]

    def _shape(self, click: Click) -> np.ndarray:
        colour = self._colour[click.row, click.column]
        if not colour:
            return np.zeros((self.height, self.width), dtype=bool)
        shapes, _ = ndimage.label(self._colour == colour)
        return shapes == shapes[click.row, click.column]

    def _instance(
        self, mask: np.ndarray, score: float, click: Click | None, group: int | None = None
    ) -> Instance:
        return Instance(mask=mask, box=mask_box(mask), score=score, click=click, group=group)


class ShapesSystem:
    """Encodes photos into such scenes, and tells how often it was asked and whether calls overlapped.

    Args:
        encode_seconds: how long encoding takes.
        click_seconds: how long every other call takes.
        scene_bytes: what a scene says it holds; its true size by default.
    """

    name = "shapes"

    def __init__(
        self, encode_seconds: float = 0.0, click_seconds: float = 0.0, scene_bytes: int | None = None
    ) -> None:
        self.encode_seconds, self.click_seconds, self.scene_bytes = encode_seconds, click_seconds, scene_bytes
        self.gate: threading.Event | None = None  # encoding waits for it, after the first `free_encodes`
        self.free_encodes = 0
        self.held_bytes = 0  # memory that each scene really holds, besides what it needs
        self.calls: dict[str, int] = {}
        self.negatives: list[list[Click]] = []
        self.overlapped = False
        self._threads: set[int] = set()
        self._lock = threading.Lock()
        self.fail_with: Exception | None = None

    def encode(self, image: np.ndarray) -> ShapesScene:
        if not self._lock.acquire(blocking=False):
            self.overlapped = True
            raise RuntimeError("two model calls at once")
        try:
            self.note("encode")
            time.sleep(self.encode_seconds)
            if self.gate is not None and self.calls["encode"] > self.free_encodes:
                self.gate.wait(30)
            return ShapesScene(self, image)
        finally:
            self._lock.release()

    def note(self, call: str) -> None:
        if self.fail_with is not None:
            raise self.fail_with
        self.calls[call] = self.calls.get(call, 0) + 1
        self._threads.add(threading.get_ident())
        if call != "encode":
            time.sleep(self.click_seconds)

    @property
    def threads(self) -> int:
        """How many threads ever called the model."""
        return len(self._threads)
