"""What the configurations of all click-by-click networks have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from transformers import PretrainedConfig


class ClickConfig(PretrainedConfig):
    """How a network sees clicks and photos.

    Args:
        guidance: How clicks are drawn; see :func:`models.systems.clicking.guidance.guidance_maps`.
        guidance_size: Radius, standard deviation or cut in pixels; the kind's usual one by default.
        mask_threshold: Probability above which a pixel is selected (RITM 0.49, EMC-Click 0.5).
        first_size: Longer side, pixels, to which a larger photo is reduced for the first click.
        input_size: Longer side, pixels, to which the crop around the last mask is brought for later clicks
            (RITM: 400).
        square: Whether the input is always resized to ``input_size`` × ``input_size`` (transformers with
            fixed positions), rather than keeping its aspect.
        zoom_in: Whether later clicks look at a crop around the last mask.
        image_mean: Subtracted from RGB in 0–255.
        image_std: Divides RGB after that.
    """

    def __init__(
        self,
        guidance: Literal["disk", "gaussian", "euclidean"] = "disk",
        guidance_size: float | None = None,
        mask_threshold: float = 0.5,
        first_size: int = 640,
        input_size: int = 400,
        square: bool = False,
        zoom_in: bool = True,
        image_mean: Sequence[float] = (123.675, 116.28, 103.53),
        image_std: Sequence[float] = (58.395, 57.12, 57.375),
        **kwargs: Any,
    ) -> None:
        self.guidance = guidance
        self.guidance_size = guidance_size
        self.mask_threshold = mask_threshold
        self.first_size = first_size
        self.input_size = input_size
        self.square = square
        self.zoom_in = zoom_in
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        super().__init__(**kwargs)
