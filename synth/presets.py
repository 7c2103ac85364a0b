"""Presets: the paper's two synthetic sets, and the default."""

from __future__ import annotations

from dataclasses import dataclass, replace

from synth.settings import (
    CompositingSettings,
    ObjectSettings,
    PlacementSettings,
    SynthSettings,
    VariationSettings,
)
from toolkit.errors import InputError


@dataclass(frozen=True)
class Preset:
    """Settings, the number of images, and the published figures to hold the result against."""

    settings: SynthSettings
    count: int
    published: dict[str, int]


# SimpSON, Section 4: an object is copied as it is and placed at the maximum of the distance map; of
# variation, gaps, perspective or blending nothing is said. A soft edge of one pixel, and nothing else, hides
# the cut.
# The coverage is the one that gives about the paper's twenty instances an image on everyday photos.
_PAPER = SynthSettings(
    objects=ObjectSettings(per_region=3),
    placement=PlacementSettings(
        max_copies=10, coverage=0.025, jitter=0.0, gap=0.0, max_overlap=1.0, perspective=0.0
    ),
    variation=VariationSettings(scale=(1.0, 1.0), angle=(0.0, 0.0), flip=0.0, brightness=0.0, colour=0.0),
    compositing=CompositingSettings(
        blends=("feather",), light=0.0, colour=0.0, shadow=0.0, noise=False, jpeg=False
    ),
)

PRESETS = {
    "default": Preset(SynthSettings(), 1000, {}),
    # "DistractorSyn14K": 14,264 images and 287,150 instances (SimpSON, Section 4).
    "paper-train": Preset(_PAPER, 14_264, {"images": 14_264, "instances": 287_150}),
    # "DistractorSyn-Val": 1,188 images with 10,980 instances, from 531 images (SimpSON, Section 4).
    # Nine instances an image instead of twenty: hardly more than one copy of most objects.
    "paper-val": Preset(
        replace(_PAPER, photo_limit=531, placement=replace(_PAPER.placement, coverage=0.005)),
        1_188,
        {"photos": 531, "images": 1_188, "instances": 10_980},
    ),
}


def find_preset(name: str) -> Preset:
    """Return a preset by name.

    Raises:
        InputError: there is none of this name.
    """
    if name not in PRESETS:
        raise InputError(f"preset {name!r} is unknown: use one of {', '.join(PRESETS)}")
    return PRESETS[name]
