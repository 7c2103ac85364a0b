"""What the rest of the house needs to know of a compared system."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor

from models.systems.clicking.config import ClickConfig
from models.systems.clicking.network import ClickNetwork
from models.systems.clicking.scene import InteractiveScene
from models.systems.clicking.stepper import Stepper, ZoomStepper

if TYPE_CHECKING:
    from models.recipes.schema import InteractiveRecipe
    from toolkit.training import TrainingTask


@dataclass(frozen=True)
class Work:
    """A call whose FLOPs are counted, and what it is."""

    text: str
    run: Callable[[], Any]


def blank_click(side: int) -> tuple[Tensor, Tensor, Tensor]:
    """A black photo ``[1, 3, side, side]``, a point ``[1, 1, 3]``, an empty mask ``[1, 1, side, side]``."""
    return torch.zeros(1, 3, side, side), torch.zeros(1, 1, 3), torch.zeros(1, 1, side, side)


def one_pass(network: ClickNetwork) -> list[Work]:
    """The work of one click on a square input of the configured size."""
    side = network.config.input_size
    side += -side % 32
    image, points, previous = blank_click(side)
    return [Work(f"one click, {side} × {side} px", lambda: network(image, points, previous))]


def interactive_task(recipe: InteractiveRecipe) -> TrainingTask:
    """The usual task: normalised focal loss, iterative training."""
    from models.systems.clicking.task import InteractiveTask

    return InteractiveTask(recipe)


@dataclass(frozen=True)
class SystemDefinition:
    """A compared system.

    Attributes:
        config: Its configuration.
        network: Its network, built from the configuration.
        stepper: From the network to what answers clicks.
        scene: From a photo and the stepper to what :meth:`toolkit.systems.System.encode` returns.
        task: From a recipe to what trains the network.
        training_settings: Model of the recipe's section ``training``; None: the section stays empty.
        works: From the network (on the meta device) to what FLOPs are counted of; the first is the main one.
        published: Figures of the authors for a recipe's name, printed beside ours.
    """

    config: type[ClickConfig]
    network: Callable[..., ClickNetwork]
    stepper: Callable[[Any], Stepper[Any]] = ZoomStepper
    scene: Callable[[np.ndarray, Any], InteractiveScene[Any]] = InteractiveScene
    task: Callable[[InteractiveRecipe], TrainingTask] = interactive_task
    training_settings: type[BaseModel] | None = None
    works: Callable[[Any], list[Work]] = one_pass
    published: Mapping[str, str] = field(default_factory=dict)
