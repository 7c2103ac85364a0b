"""Where the masks of a click's proposals are compared with the object, in training."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from models.placed_object import PlacedObject

CELLS = 32  # per side
REACH = 1.8  # side of the lattice over the larger side of the mask that it lies around
LIMIT = 4.0  # logits beyond which a mask is no surer
_FINER = 4  # samples per cell and side for how much of it is covered


@dataclass(frozen=True)
class Lattice:
    """A square of the photo, in `CELLS` × `CELLS` cells.

    Attributes:
        left: Pixels of the photo.
        top: The same.
        step: Side of a cell, pixels of the photo.
    """

    left: float
    top: float
    step: float

    @staticmethod
    def around(item: PlacedObject) -> Lattice:
        """The square around an object's box."""
        x1, y1, x2, y2 = item.box
        side = item.side * REACH
        return Lattice((x1 + x2 - side) / 2, (y1 + y2 - side) / 2, side / CELLS)

    def logits(self, item: PlacedObject) -> np.ndarray:
        """A mask's logits in the middle of each cell, float32 ``[CELLS, CELLS]``, within ± `LIMIT`."""
        middle = self.step / 2
        values = item.values(self.left + middle, self.top + middle, (self.step, self.step), (CELLS, CELLS))
        return values.clip(-LIMIT, LIMIT)

    def coverage(self, mask: np.ndarray) -> np.ndarray:
        """How much of each cell a mask of the whole photo covers, float32 ``[CELLS, CELLS]``, 0–1.

        Args:
            mask: bool ``[H, W]``.
        """
        step = self.step / _FINER
        matrix = np.array([[step, 0, self.left + step / 2 - 0.5], [0, step, self.top + step / 2 - 0.5]])
        size = CELLS * _FINER
        samples = cv2.warpAffine(
            mask.astype(np.float32),
            matrix,
            (size, size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
        )
        means: np.ndarray = samples.reshape(CELLS, _FINER, CELLS, _FINER).mean((1, 3))
        return means
