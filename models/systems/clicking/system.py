"""A click-by-click system behind ``encode``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from models.loading import fingerprint
from models.systems.clicking.scene import InteractiveScene
from models.systems.clicking.stepper import Stepper
from toolkit.errors import InputError


class InteractiveSystem:
    """See :class:`toolkit.systems.System`.

    Args:
        name: Of the system.
        stepper: Its work.
        network: Whose weights tell one system from another of the same name; None where there are none.
        scene: What a photo becomes, with the stepper.
    """

    def __init__(
        self,
        name: str,
        stepper: Stepper[Any],
        network: PreTrainedModel | None = None,
        scene: Callable[[np.ndarray, Any], InteractiveScene[Any]] = InteractiveScene,
    ) -> None:
        self.name, self.stepper, self.network, self.scene = name, stepper, network, scene

    def encode(self, image: np.ndarray) -> InteractiveScene[Any]:
        """Take a photo, uint8 ``[H, W, 3]`` RGB; the first click on it runs the whole network.

        Raises:
            InputError: The array is no such image.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise InputError(
                f"image: expected uint8 [H, W, 3], got {image.dtype} {list(image.shape)}; use open_image"
            )
        return self.scene(image, self.stepper)

    @property
    def parameters(self) -> int:
        """Of the network; 0 where nothing was learned."""
        return 0 if self.network is None else sum(weights.numel() for weights in self.network.parameters())

    @cached_property
    def fingerprint(self) -> str:
        """A text that changes whenever the weights or the settings do."""
        if self.network is None:
            return fingerprint([], self.name, repr(self.stepper))
        return fingerprint([self.network], self.name, self.network.config.to_json_string())
