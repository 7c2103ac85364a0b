"""The classical systems as steppers: each click looks at all clicks anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from models.systems.classical.cuts import flood_mask, grabcut_mask, walker_mask
from models.systems.classical.seeds import Seeds, seeds_of
from models.systems.clicking.state import MaskState
from toolkit.clicks import Click

CERTAINTY = 0.5  # these systems do not say how sure they are


@dataclass(frozen=True)
class ClassicalStepper:
    """See :class:`models.systems.clicking.stepper.Stepper`.

    Attributes:
        segment: From a working copy, seeds and the setting to a mask.
        setting: Of the method: GrabCut's iterations, flood fill's tolerance, random walker's beta.
        working_size: Longer side of the working copy, pixels, at most.
        radius: Of the sure disk around each click, pixels of the copy.
        reach: See :func:`models.systems.classical.seeds.seeds_of`.
    """

    segment: Callable[[np.ndarray, Seeds, float], np.ndarray] = field(repr=False)
    setting: float
    working_size: int
    radius: float
    reach: float

    def first(self, image: np.ndarray, clicks: Sequence[Click]) -> list[MaskState]:
        """One after the other."""
        return [self._step(image, [click]) for click in clicks]

    def following(self, image: np.ndarray, clicks: Sequence[Click], state: MaskState) -> MaskState:
        """All clicks together; the mask before plays no part."""
        return self._step(image, clicks)

    def _step(self, image: np.ndarray, clicks: Sequence[Click]) -> MaskState:
        height, width = image.shape[:2]
        scale = min(self.working_size / max(height, width), 1.0)
        rows, columns = max(round(height * scale), 1), max(round(width * scale), 1)
        copy = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA) if scale < 1 else image
        seeds = seeds_of(clicks, rows, columns, scale, self.radius, self.reach)
        mask = self.segment(copy, seeds, self.setting)
        if scale < 1:
            grown = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
            mask = grown > 0.5
        return MaskState.of(mask, CERTAINTY)


# Reach, tolerance and beta are the best after one click of two or three values each, tried on 23 objects of
# the training photos; the other settings were not varied.


def grabcut() -> ClassicalStepper:
    """GrabCut from clicks."""
    return ClassicalStepper(grabcut_mask, 3, working_size=320, radius=5, reach=0.3)


def flood_fill() -> ClassicalStepper:
    """Flood fill from clicks."""
    return ClassicalStepper(flood_mask, 18.0, working_size=512, radius=3, reach=0.4)


def random_walker() -> ClassicalStepper:
    """Random walker from clicks; it needs scikit-image."""
    return ClassicalStepper(walker_mask, 1000.0, working_size=256, radius=3, reach=0.2)
