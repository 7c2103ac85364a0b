"""What is known after some clicks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np
from torch import Tensor

from models.systems.clicking.crops import Crop


class State(Protocol):
    """What a stepper passes from one click to the next; never changed once made."""

    @property
    def nbytes(self) -> int:
        """Memory it holds, bytes."""
        ...

    def mask(self, height: int, width: int) -> np.ndarray:
        """The selected pixels of the photo, bool ``[H, W]``."""
        ...

    def score(self) -> float:
        """How sure the system is of them, 0–1."""
        ...


@dataclass(frozen=True)
class ClickState:
    """The probabilities of the part of a photo that was looked at; 0 elsewhere.

    Attributes:
        crop: That part.
        probability: float32 ``[h, w]``, covering the crop at the network's own resolution.
        threshold: Probability above which a pixel is selected.
        kept: Tensors that a system keeps for the clicks to come, such as features.
    """

    crop: Crop
    probability: np.ndarray
    threshold: float
    kept: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Memory of the probabilities and of what is kept, bytes."""
        return self.probability.nbytes + sum(t.element_size() * t.nelement() for t in self.kept.values())

    def mask(self, height: int, width: int) -> np.ndarray:
        """The selected pixels of the photo, bool ``[H, W]``."""
        size = (self.crop.width, self.crop.height)
        whole = np.zeros((height, width), bool)
        grown = cv2.resize(self.probability, size, interpolation=cv2.INTER_LINEAR)
        self.crop.cut(whole)[:] = grown > self.threshold
        return whole

    def box(self) -> tuple[float, float, float, float] | None:
        """(x0, y0, x1, y1) of the selected pixels in the photo, as exact as the network; None: nothing."""
        selected = self.probability > self.threshold
        rows, columns = np.flatnonzero(selected.any(1)), np.flatnonzero(selected.any(0))
        if not len(rows):
            return None
        step_x = self.crop.width / selected.shape[1]
        step_y = self.crop.height / selected.shape[0]
        return (
            self.crop.left + columns[0] * step_x,
            self.crop.top + rows[0] * step_y,
            self.crop.left + (columns[-1] + 1) * step_x,
            self.crop.top + (rows[-1] + 1) * step_y,
        )

    def score(self) -> float:
        """Mean probability of the selected pixels; 0 without any."""
        selected = self.probability[self.probability > self.threshold]
        return float(selected.mean()) if len(selected) else 0.0


@dataclass(frozen=True)
class MaskState:
    """A mask of the whole photo and nothing else, a bit a pixel.

    Attributes:
        bits: uint8, packed row by row.
        certainty: 0–1.
    """

    bits: np.ndarray
    certainty: float

    @classmethod
    def of(cls, mask: np.ndarray, certainty: float) -> MaskState:
        """Pack a mask, bool ``[H, W]``."""
        return cls(np.packbits(mask), certainty)

    @property
    def nbytes(self) -> int:
        """Memory of the bits, bytes."""
        return self.bits.nbytes

    def mask(self, height: int, width: int) -> np.ndarray:
        """The selected pixels, bool ``[H, W]``."""
        return np.unpackbits(self.bits, count=height * width).reshape(height, width).astype(bool)

    def score(self) -> float:
        """The certainty."""
        return self.certainty
