"""The base of click-by-click networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from models.backbones import Backbone
from models.pixels import normalised
from models.systems.clicking.config import ClickConfig
from models.systems.clicking.guidance import guidance_maps


@dataclass(frozen=True)
class ClickOutput:
    """What a network may return instead of bare logits.

    Attributes:
        logits: ``[B, 1, H, W]``, the mask's.
        auxiliary: ``[B, 1, H, W]`` of an intermediate output, for training; None without one.
    """

    logits: Tensor
    auxiliary: Tensor | None = None


class ClickNetwork(PreTrainedModel):
    """A network from a photo, points on it and the mask before to logits; see the package's docstring."""

    config_class: type[ClickConfig] = ClickConfig
    config: ClickConfig
    backbone: Backbone
    base_model_prefix = "clicking"
    main_input_name = "image"

    def _init_weights(self, module: nn.Module) -> None:
        """Keep what the modules' own constructors drew."""

    def load_backbone(self, source: str) -> None:
        """Put pretrained weights into the backbone.

        Args:
            source: See :func:`models.systems.clicking.pretrained.load_pretrained`.

        Raises:
            InputError: There are no weights, or they are of another network or size.
        """
        from models.systems.clicking.pretrained import load_pretrained

        load_pretrained(self.backbone, source)

    def normalise(self, image: Tensor) -> Tensor:
        """``[B, 3, H, W]`` RGB 0–255, any dtype, to zero mean and unit variance in the weights' dtype."""
        return normalised(image, self.config.image_mean, self.config.image_std, self.dtype)

    def guidance(self, points: Tensor, height: int, width: int) -> Tensor:
        """Positive and negative points ``[B, P, 3]`` drawn as the configuration says: ``[B, 2, H, W]``."""
        maps = guidance_maps(points, height, width, self.config.guidance, self.config.guidance_size)
        return maps.to(self.dtype)

    def forward(self, image: Tensor, points: Tensor, previous: Tensor) -> Any:
        """Logits ``[B, 1, H, W]``, or something that has them as ``logits``.

        Args:
            image: ``[B, 3, H, W]`` RGB 0–255; H and W divisible by 32.
            points: ``[B, P, 3]``; see :func:`models.systems.clicking.guidance.guidance_maps`; the newest
                last.
            previous: ``[B, 1, H, W]`` probabilities after the click before; zeros before any.
        """
        raise NotImplementedError


def logits_of(output: Any) -> Tensor:
    """The mask's logits ``[B, 1, H, W]`` of what a network returned."""
    return output if isinstance(output, Tensor) else output.logits
