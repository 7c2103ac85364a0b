"""Training multi-stage fusion: one click per picture, in three phases."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from models.recipes.schema import InteractiveRecipe
from models.systems.clicking.guidance import ABSENT, POSITIVE
from models.systems.clicking.network import ClickNetwork, logits_of
from models.systems.clicking.samples import ClickBatch, ClickSample, make_sample
from models.systems.clicking.task import InteractiveTask
from models.systems.fusion.losses import class_balanced_bce
from models.systems.fusion.network import FusionNetwork
from models.tasks.networks import as_network
from toolkit.clicks import CENTER_JITTER, sample_jittered_center_of_mass
from toolkit.errors import InputError


class FusionTraining(BaseModel):
    """The recipe's section ``training``.

    Attributes:
        phase: Of section 3.4: ``early`` and ``joint`` learn everything that the network has, ``late`` only
            the fusion stream and the head's weights for it. The phases are recipes that start from each
            other's weights (``init_from``).
        jitter: The click is the object's centre of mass, moved in x and y by up to this many pixels of the
            crop, and kept on the object (section 3.4: 50, of 512 px).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    phase: Literal["early", "late", "joint"] = "joint"
    jitter: float = Field(default=CENTER_JITTER, ge=0)


class FusionTask(InteractiveTask):
    """See :class:`toolkit.training.TrainingTask`.

    Raises:
        InputError: The phase does not suit the network.
    """

    def __init__(self, recipe: InteractiveRecipe) -> None:
        super().__init__(recipe)
        self.training = FusionTraining(**recipe.training)
        network = as_network(self.model, ClickNetwork)
        if not isinstance(network, FusionNetwork):
            raise TypeError(f"expected a fusion network, got {type(network).__name__}")
        if self.training.phase == "late":
            freeze_early_fusion(network)

    def sample(self, index: int) -> ClickSample:
        """A picture with one object and its click."""
        canvas, rng = self.stream.picture(index)
        return with_one_click(make_sample(canvas, rng, self.sampling), rng, self.training.jitter)

    def losses(self, model: nn.Module, batch: ClickBatch) -> dict[str, Tensor]:
        """The class-balanced cross entropy of one pass."""
        if self.training.phase == "late":
            hold_frozen_norms(as_network(model, ClickNetwork))
        logits = logits_of(model(self.pixels(batch), batch.points, torch.zeros_like(batch.target)))
        return {"total": class_balanced_bce(logits, batch.target)}


def with_one_click(sample: ClickSample, rng: np.random.Generator, jitter: float) -> ClickSample:
    """The same picture with a single click; no point at all where it shows no object."""
    points = np.full((1, 3), ABSENT, np.float32)
    if sample.mask.any():
        click = sample_jittered_center_of_mass(sample.mask, rng, jitter)
        points[0] = click.x, click.y, POSITIVE
    return replace(sample, points=points)


def freeze_early_fusion(network: FusionNetwork) -> None:
    """Let only the stream learn, and the head's weights for its map, in place.

    Raises:
        InputError: The network has no fusion stream.
    """
    if network.stream is None:
        raise InputError("training.phase late: the network has nothing to learn late; set model.fusion=multi")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith("stream.") or ".joined." in name)


def hold_frozen_norms(network: nn.Module) -> None:
    """Keep the statistics of the frozen parts' normalisations as they are, in place."""
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d) and not name.startswith("stream."):
            module.eval()
