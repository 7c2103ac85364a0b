"""What is exported: modules of tensors alone, with names for what goes in and comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from models.one_click import OneClickModel
from models.pvm import VerificationModel
from models.pvm.model import ObjectInputs
from models.pyramid import STRIDES
from models.refiner import RefinerModel
from models.stages import STAGE_STRIDES

LEVELS = ("p2", "p3", "p4", "p5")
STAGES = ("c3", "c4")
KINDS = ("logits", "distances", "centerness", "kernels")
# Traced at the first; the second, which differs in both sides, shows what the trace took for a constant.
SIZES = ((128, 192), (224, 160))
OBJECTS = (2, 5)
OBJECT_INPUTS = ("patches", "features", "coverage", "sides")


@dataclass(frozen=True)
class Graph:
    """One ONNX file to be.

    Attributes:
        name: Stem of the file.
        network: What it is a part of: ``one-click``, ``pvm`` or ``refiner``.
        module: Takes the inputs in order and gives the outputs in order; in evaluation mode.
        inputs: Their names.
        outputs: Their names.
        axes: Names of the axes of any length, by input or output.
        samples: Inputs of two sizes: traced with the first, checked with both.
        strides: Pixels of the network's input per cell, of inputs and outputs that are maps of it.
    """

    name: str
    network: str
    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    axes: Mapping[str, Mapping[int, str]]
    samples: tuple[tuple[Tensor, ...], tuple[Tensor, ...]]
    strides: Mapping[str, int] = field(default_factory=dict)


class Encoder(nn.Module):
    """All that clicks do not change; with the backbone's own maps where a PVM reads them (``stages``)."""

    def __init__(self, model: OneClickModel, stages: bool = False) -> None:
        super().__init__()
        self.model, self.stages = model, stages

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """P2–P5, the mask features without clicks, maybe C3 and C4, of ``[1, 3, H, W]`` RGB 0–255."""
        pyramid, stages = self.model.encode_with_stages(image)
        return (*pyramid, self.model.mask_features(pyramid), *(stages if self.stages else ()))


class Heads(nn.Module):
    """Detection and kernel heads on whole maps."""

    def __init__(self, model: OneClickModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, *maps: Tensor) -> tuple[Tensor, ...]:
        """Logits, distances, centerness and kernels of each level, from P2–P5 and their click maps."""
        heads = self.model.heads
        pyramid, clicks = maps[: len(LEVELS)], maps[len(LEVELS) :] or None
        outputs: list[Tensor] = []
        for level, feature in enumerate(pyramid):
            found = heads(feature, None if clicks is None else clicks[level], level)
            kernels = heads.dense_kernels(heads.with_coordinates(found.features))
            outputs += [found.logits, found.distances, found.centerness, kernels]
        if clicks is not None and self.model.config.click_in_masks:
            outputs.append(self.model.mask_features(pyramid, clicks))
        return tuple(outputs)


class Embedder(nn.Module):
    """PVM's embedding network, which takes only what its configuration reads."""

    def __init__(self, model: VerificationModel) -> None:
        super().__init__()
        self.model = model
        optional = {"coverage": model.config.use_mask, "sides": model.config.use_scale}
        self.inputs = tuple(name for name in OBJECT_INPUTS if optional.get(name, True))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Embeddings ``[N, E]``; see :class:`models.pvm.model.ObjectInputs` for the inputs."""
        given = dict(zip(self.inputs, inputs, strict=True))
        unread = inputs[0].new_zeros(())
        return self.model(ObjectInputs(**{name: given.get(name, unread) for name in OBJECT_INPUTS}))


class Mender(nn.Module):
    """The mask refiner, with a plain tuple for its answer."""

    def __init__(self, model: RefinerModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor, prior: Tensor, clicks: Tensor) -> tuple[Tensor, Tensor]:
        """Mask logits ``[N, S / 2, S / 2]`` and quality ``[N]``; see :class:`models.refiner.RefinerModel`."""
        refined = self.model(pixels, prior, clicks)
        return refined.logits, refined.quality


def one_click_graphs(model: OneClickModel, stages: bool = False) -> list[Graph]:
    """Encoder and heads of a 1C-DSN; the encoder gives C3 and C4, too, where ``stages`` are read.

    The heads take whole maps, so they hold for GroupNorm and coordinates too. Clicks are binary maps
    ``[1, 1, H / stride, W / stride]`` (SimpSON, section 3.1); zeros give the click-free answer.
    """
    draw = torch.Generator().manual_seed(0)
    images = [torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8, generator=draw) for size in SIZES]
    strides = {**dict(zip(LEVELS, STRIDES, strict=True)), "mask_features": STRIDES[0]}
    if stages:
        strides |= dict(zip(STAGES, STAGE_STRIDES, strict=True))
    encoder = Graph(
        name="encoder",
        network="one-click",
        module=Encoder(model, stages).eval(),
        inputs=("image",),
        outputs=tuple(strides),
        axes={"image": {2: "height", 3: "width"}, **{name: _map_axes(s) for name, s in strides.items()}},
        samples=((images[0],), (images[1],)),
        strides={"image": 1, **strides},
    )
    clicked = tuple(f"clicks_{level}" for level in LEVELS) if model.config.click_embedding else ()
    inputs = (*LEVELS, *clicked)
    outputs = tuple(f"{kind}_{level}" for level in LEVELS for kind in KINDS)
    of_heads = {name: strides[name.split("_")[-1]] for name in (*inputs, *outputs)}
    if clicked and model.config.click_in_masks:
        outputs += ("mask_features",)
        of_heads["mask_features"] = strides["mask_features"]
    first, second = (_heads_sample(model, size, bool(clicked), draw) for size in SIZES)
    heads = Graph(
        name="heads",
        network="one-click",
        module=Heads(model).eval(),
        inputs=inputs,
        outputs=outputs,
        axes={name: _map_axes(stride) for name, stride in of_heads.items()},
        samples=(first, second),
        strides=of_heads,
    )
    return [encoder, heads]


def pvm_graph(model: VerificationModel) -> Graph:
    """PVM's embedding network on N objects that are cut out already."""
    draw = torch.Generator().manual_seed(0)
    module = Embedder(model).eval()
    names = module.inputs
    first, second = (_objects(model, names, count, draw) for count in OBJECTS)
    return Graph(
        name="pvm",
        network="pvm",
        module=module,
        inputs=names,
        outputs=("embeddings",),
        axes={name: {0: "objects"} for name in (*names, "embeddings")},
        samples=(first, second),
    )


def refiner_graph(model: RefinerModel) -> Graph:
    """The mask refiner on N crops that are cut out already."""
    draw = torch.Generator().manual_seed(0)
    side = model.config.crop
    first, second = (
        (
            torch.rand(count, 3, side, side, generator=draw) * 255,
            torch.randn(count, 1, side, side, generator=draw) * 4,
            torch.rand(count, 1, side, side, generator=draw),
        )
        for count in OBJECTS
    )
    names = ("pixels", "prior", "clicks")
    outputs = ("logits", "quality")
    return Graph(
        name="refiner",
        network="refiner",
        module=Mender(model).eval(),
        inputs=names,
        outputs=outputs,
        axes={name: {0: "objects"} for name in (*names, *outputs)},
        samples=(first, second),
    )


def _map_axes(stride: int) -> dict[int, str]:
    return {2: f"height_{stride}", 3: f"width_{stride}"}


def _heads_sample(
    model: OneClickModel, size: tuple[int, int], clicked: bool, draw: torch.Generator
) -> tuple[Tensor, ...]:
    """A random pyramid, with one click a level."""
    sides = [(size[0] // stride, size[1] // stride) for stride in STRIDES]
    pyramid = [torch.randn(1, model.config.pyramid_channels, *side, generator=draw) for side in sides]
    clicks = []
    for height, width in sides:
        level = torch.zeros(1, 1, height, width)
        level[0, 0, height // 2, width // 3] = 1
        clicks.append(level)
    return (*pyramid, *(clicks if clicked else ()))


def _objects(
    model: VerificationModel, names: tuple[str, ...], count: int, draw: torch.Generator
) -> tuple[Tensor, ...]:
    c = model.config
    drawn = {
        "patches": torch.rand(count, 3, c.crop, c.crop, generator=draw) * 255,
        "features": torch.randn(
            count, c.feature_channels + sum(c.stage_channels), c.grid, c.grid, generator=draw
        ),
        "coverage": torch.rand(count, 1, c.grid, c.grid, generator=draw),
        "sides": torch.rand(count, 1, generator=draw) * 200 + 8,  # pixels
    }
    return tuple(drawn[name] for name in names)
