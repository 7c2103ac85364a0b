"""What recipes, sizes and loading need to know of EMC-Click."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from models.systems.clicking.definition import Work, blank_click
from models.systems.emc_click.correction import STRIDE
from models.systems.emc_click.network import EmcClickNetwork

if TYPE_CHECKING:
    from models.recipes.schema import InteractiveRecipe
    from toolkit.training import TrainingTask

SIDE = 384  # pixels; section 4.1: "the image is resized to a fixed length of 384 as the short side"


def _published(first: str, correction: str, note: str) -> str:
    return f"EMC-Click, table 1, at 384 px: first click {first}; later clicks {correction}. {note}"


_C64, _C96 = "0.11 M parameters, 1.09 GFLOPs, 183 ms", "0.22 M parameters, 2.25 GFLOPs, 280 ms"
_COUNTING = (
    "A multiply-add counts as one there, as two here. Of a later click ours is less: the 1 × 1 convolution "
    "of the base network's features is done once and kept"
)

# Source: table 1. Times: average per click on a laptop's CPU.
PUBLISHED: Mapping[str, str] = {  # a plain dict: loader workers get the definition with the task
    "emc-click-mit-b0": _published("3.84 M parameters, 5.38 GFLOPs, 528 ms", _C64, f"{_COUNTING}."),
    "emc-click-hrnet-18s": _published(
        "4.33 M parameters, 9.35 GFLOPs, 752 ms",
        _C64,
        f"{_COUNTING}. Their 0.11 M is of features with 256 channels; these have 96, hence 0.01 M less.",
    ),
    "emc-click-hrnet-18": _published(
        "10.3 M parameters, 15.3 GFLOPs, 1237 ms",
        _C96,
        f"{_COUNTING}. Their 0.22 M is of features with 256 channels; these have 128, hence 0.01 M less.",
    ),
    "emc-click-hrnet-32": _published("31.2 M parameters, 40.5 GFLOPs, 1745 ms", _C96, f"{_COUNTING}."),
    "emc-click-mit-b3": _published(
        "45.9 M parameters, 32.3 GFLOPs, 2006 ms",
        _C96,
        f"{_COUNTING}. Their 0.22 M is of features with 256 channels; B3's have 512, hence 0.02 M more.",
    ),
}


def works(network: EmcClickNetwork) -> list[Work]:
    """The work of the first click, and of each later one."""
    image, point, previous = blank_click(SIDE)
    points = point.expand(-1, 2, -1)  # an annotator's second click
    features = torch.zeros(1, network.config.correction_channels, SIDE // STRIDE, SIDE // STRIDE)
    return [
        Work(f"the first click, {SIDE} × {SIDE} px", lambda: network(image, points, previous)),
        Work(
            f"each later click, {SIDE} × {SIDE} px",
            lambda: network.correct(image, points, previous, features),
        ),
    ]


def emc_click_task(recipe: InteractiveRecipe) -> TrainingTask:
    """What trains the network that a recipe describes."""
    from models.systems.emc_click.task import EmcClickTask

    return EmcClickTask(recipe)
