"""A photo under iCMFormer++."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.systems.clicking.scene import InteractiveScene
from models.systems.clicking.state import ClickState
from models.systems.icmformer_pp.stepper import ExemplarStepper
from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.exemplars import Exemplar
from toolkit.selection import Instance


class RecallScene(InteractiveScene[ClickState]):
    """See :class:`toolkit.systems.ExemplarScene`.

    What clicks gave with the exemplars asked for last is kept, as far as memory goes.

    Args:
        image: uint8 ``[H, W, 3]`` RGB.
        stepper: The system, without exemplars.
    """

    def __init__(self, image: np.ndarray, stepper: ExemplarStepper) -> None:
        super().__init__(image, stepper)
        self.recalls: str = stepper.network.config.recalls
        self._exemplar_stepper = stepper
        self._helped: InteractiveScene[ClickState] | None = None

    @property
    def nbytes(self) -> int:
        """Memory of the photo and of the kept states, bytes."""
        helped = self._helped
        return super().nbytes + (0 if helped is None else helped.nbytes - self.image.nbytes)

    def segment_like(self, clicks: Sequence[Click], exemplars: Sequence[Exemplar]) -> Instance | None:
        """See :class:`toolkit.systems.ExemplarScene`.

        Raises:
            InputError: No click is positive, one lies outside the photo, or an exemplar is of another photo.
        """
        if not exemplars:
            return self.segment(clicks)
        for exemplar in exemplars:
            if exemplar.mask.shape != (self.height, self.width):
                raise InputError(
                    f"exemplar: its mask is {exemplar.mask.shape}, the photo {(self.height, self.width)}"
                )
        return self._scene_of(tuple(exemplars)).segment(clicks)

    def _scene_of(self, exemplars: tuple[Exemplar, ...]) -> InteractiveScene[ClickState]:
        helped = self._helped
        if (
            helped is None
            or not isinstance(helped.stepper, ExemplarStepper)
            or helped.stepper.exemplars != exemplars
        ):
            helped = InteractiveScene(self.image, self._exemplar_stepper.with_exemplars(exemplars))
            self._helped = helped  # one assignment: threads see this one or another, both sound
        return helped
