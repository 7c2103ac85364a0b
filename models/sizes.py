"""How large the recipes' networks are and how much they compute, counted without weights or memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from models.cpn import ProposalConfig, ProposalModel
from models.one_click import OneClickConfig, OneClickModel
from models.pvm import VerificationConfig, VerificationModel
from models.pyramid import STRIDES
from models.recipes import find_recipe, read_recipe, recipe_names
from models.recipes.schema import InteractiveRecipe, OneClickRecipe, ProposalRecipe, RefinerRecipe
from models.refiner import RefinerConfig, RefinerModel
from models.stages import STAGE_STRIDES, input_channels
from toolkit.errors import InputError
from toolkit.flops import count_flops

if TYPE_CHECKING:
    from models.recipes.schema import VerificationRecipe

SIDE = 1024  # pixels of the photo whose FLOPs are counted

# Average precisions in percent. Sources: Entity Segmentation (Qi et al., 2021), class-agnostic AP of its R50;
# SimpSON, tables 1 (LVIS), 2 (distractors), 3 and 4.
PUBLISHED_FIGURES = {
    "one-click-r50-panoptic": "Entity Segmentation: AP 28.3 plain, 29.8 (1x), 31.8 (3x)",
    "one-click-r101-lvis": "SimpSON, LVIS: AP 35.5",
    "one-click-r101-distractors": "SimpSON, distractors: AP 29.9",
    "one-click-mit-b3-lvis": "SimpSON, LVIS: AP 38.5",
    "one-click-mit-b3-distractors": "SimpSON, distractors: AP 32.2",
    "one-click-swin-l-lvis": "SimpSON, LVIS: AP 40.2 (small 31.1, medium 59.0, large 35.1)",
    "one-click-swin-l-distractors": "SimpSON, distractors: AP 34.0",
    "cpn-paper": "SimpSON, clicks: AUC-PR 40.43",
    "pvm-paper": "SimpSON, groups with IDS: AP 42.4, AR 49.7",
}


@dataclass(frozen=True)
class NetworkSize:
    """A network in figures.

    Attributes:
        name: Of the recipe.
        parts: Parameters of each of its parts.
        flops: Of the work; a multiplication and an addition count as two.
        work: What the FLOPs are of.
        published: What its authors reached, where known.
        further: FLOPs of other work that the network does, by what it is.
    """

    name: str
    parts: dict[str, int]
    flops: int
    work: str
    published: str
    further: dict[str, int] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """All of them."""
        return sum(self.parts.values())


def recipe_size(name: str) -> NetworkSize:
    """Count a recipe's network.

    Args:
        name: A recipe file, or the name of a packaged one.

    Raises:
        InputError: There is no such recipe, or its frozen 1C-DSN is unknown.
    """
    recipe = read_recipe(name)
    if isinstance(recipe, InteractiveRecipe):
        return _interactive(name, recipe)
    with torch.device("meta"):
        if isinstance(recipe, OneClickRecipe):
            network, work, run = _one_click(OneClickConfig(**recipe.model))
        elif isinstance(recipe, ProposalRecipe):
            network, work, run = _cpn(recipe)
        elif isinstance(recipe, RefinerRecipe):
            network, work, run = _refiner(recipe)
        else:
            network, work, run = _pvm(recipe)
        flops = count_flops(run)
    return NetworkSize(name, count_parts(network), flops, work, PUBLISHED_FIGURES.get(name, ""))


def count_parts(network: nn.Module) -> dict[str, int]:
    """Parameters of each direct part of a network."""
    parts: dict[str, int] = {}
    for key, value in network.named_parameters():
        parts[key.split(".")[0]] = parts.get(key.split(".")[0], 0) + value.numel()
    return parts


def all_sizes() -> list[NetworkSize]:
    """Of every packaged recipe."""
    return [recipe_size(name) for name in recipe_names()]


def _interactive(name: str, recipe: InteractiveRecipe) -> NetworkSize:
    from models.systems.table import definition

    system = definition(recipe.system)
    with torch.device("meta"):
        network = system.network(system.config(**recipe.model)).eval()
        counted = {work.text: count_flops(work.run) for work in system.works(network)}
    main, *others = counted
    further = {text: counted[text] for text in others}
    published = system.published.get(find_recipe(name).stem, "")
    return NetworkSize(name, count_parts(network), counted[main], main, published, further)


def _one_click(config: OneClickConfig) -> tuple[nn.Module, str, Callable[[], Any]]:
    network = OneClickModel(config).eval()
    maps = [torch.zeros(1, 1, SIDE // stride, SIDE // stride) for stride in STRIDES]
    work = f"a photo of {SIDE} px with clicks, one full pass"
    return network, work, lambda: network(torch.zeros(1, 3, SIDE, SIDE), maps)


def _cpn(recipe: ProposalRecipe) -> tuple[nn.Module, str, Callable[[], Any]]:
    inputs = _inputs(recipe)
    network = ProposalModel(ProposalConfig(**inputs, **recipe.model)).eval()
    pyramid, stages = _pyramid(inputs["feature_channels"]), _stages(inputs["stage_channels"])
    masks, boxes = torch.zeros(1, SIDE // 4, SIDE // 4), torch.zeros(1, 4)
    work = f"one exemplar in a photo of {SIDE} px, its features given"
    return network, work, lambda: network(pyramid, [masks], [boxes], stages=stages)


def _pvm(recipe: VerificationRecipe) -> tuple[nn.Module, str, Callable[[], Any]]:
    inputs = _inputs(recipe)
    network = VerificationModel(VerificationConfig(**inputs, **recipe.model)).eval()
    image, feature = torch.zeros(3, SIDE, SIDE), _pyramid(inputs["feature_channels"])[0][0]
    stages = [stage[0] for stage in _stages(inputs["stage_channels"])]
    masks, boxes = torch.zeros(1, SIDE // 4, SIDE // 4), torch.zeros(1, 4)
    return (
        network,
        "one object, its features given",
        lambda: network(network.gather(image, feature, masks, boxes, stages)),
    )


def _refiner(recipe: RefinerRecipe) -> tuple[nn.Module, str, Callable[[], Any]]:
    network = RefinerModel(RefinerConfig(**recipe.model)).eval()
    side = network.config.crop
    pixels, own = torch.zeros(1, 3, side, side), torch.zeros(1, 1, side, side)
    return network, f"one mask in a crop of {side} px", lambda: network(pixels, own, own)


def _inputs(recipe: ProposalRecipe | VerificationRecipe) -> dict[str, Any]:
    return input_channels(OneClickModel(frozen_config(recipe.one_click)), recipe.stages)


def _pyramid(channels: int) -> list[Tensor]:
    return [torch.zeros(1, channels, SIDE // stride, SIDE // stride) for stride in STRIDES]


def _stages(channels: Sequence[int]) -> list[Tensor]:
    sides = [SIDE // stride for stride in STAGE_STRIDES]
    return [torch.zeros(1, own, side, side) for own, side in zip(channels, sides, strict=False)]


def frozen_config(source: Path | None) -> OneClickConfig:
    """Shape of the 1C-DSN that a recipe names: of its folder, or of the recipe that will fill it.

    Args:
        source: The folder, such as ``runs/RECIPE/final``; None for the compact network.

    Raises:
        InputError: Neither is there.
    """
    if source is None:
        return OneClickConfig()
    file = source / "config.json"
    if file.is_file():
        return OneClickConfig(**json.loads(file.read_text(encoding="utf-8")))
    if source.parent.name in recipe_names():
        recipe = read_recipe(source.parent.name)
        if isinstance(recipe, OneClickRecipe):
            return OneClickConfig(**recipe.model)
    raise InputError(f"one_click: no 1C-DSN in {source}; train one first, then --set one_click=FOLDER")
