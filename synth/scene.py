"""What a scene is made of: the photo, what stands in it, the copies to paste, and the plan of all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from synth.objects.donors import MARGIN, Donor
from toolkit.blending import PlacedMask
from toolkit.cutouts import Cutout, cut_out


@dataclass(frozen=True)
class SceneInstance:
    """An annotated object of a scene.

    Attributes:
        placed: its visible pixels.
        category_id: of the split that is being made.
        group_id: siblings share one.
        origin: ``{"kind": "real", …}`` or ``{"kind": "pasted", …}``.
        full_area: pixels it had before anything covered it, inside and outside the photo.
        iscrowd: whether it stands for many.
        annotation: its id in the split that it comes from.
        region: index of the region that it stands in, -1 for none.
        copyable: whether it is fit to be copied; only the photo's own objects are.
        rle: its mask as a run-length code, where that is known already.
    """

    placed: PlacedMask
    category_id: int
    group_id: int
    origin: dict[str, Any]
    full_area: int
    iscrowd: int = 0
    annotation: int = -1
    region: int = -1
    copyable: bool = False
    rle: dict[str, Any] | None = None

    @property
    def visible(self) -> float:
        """Share of the object that is visible, 0 to 1."""
        return self.placed.area / self.full_area if self.full_area else 0.0


@dataclass(frozen=True)
class Photo:
    """A photo to paste into.

    Attributes:
        image: uint8 [H, W, 3].
        regions: uint8 [H, W], index map.
        instances: what is annotated already.
        name: file name.
        license: in words.
        quality: JPEG quality of its file; None where there is none.
    """

    image: np.ndarray
    regions: np.ndarray
    instances: Sequence[SceneInstance] = ()
    name: str = ""
    license: str | None = None
    quality: int | None = None

    def donor(self, instance: SceneInstance, feather: float) -> Donor:
        """One of the photo's own objects, cut out to be copied within it."""
        placed = instance.placed
        return Donor(
            cutout=cut_out(self.image[placed.window], placed.mask, feather, MARGIN),
            category_id=instance.category_id,
            split="photos",
            image=self.name,
            annotation=instance.annotation,
            license=self.license,
            group=instance.group_id,
            row=placed.top + placed.mask.shape[0] // 2,
        )


@dataclass(frozen=True)
class Paste:
    """One copy, ready to be drawn.

    Attributes:
        cutout: the object, scaled, turned and mirrored; its colours are the donor's.
        left: column of the cut-out's first column.
        top: row of the cut-out's first row.
        region: index of the region.
        category_id: of the split that is being made.
        group_id: siblings share one.
        peak: x, y and distance of the map's maximum that it was placed by.
        origin: its provenance, as written to the annotation; the blend is added when it is drawn.
        gain: float [3], factor per channel by which the copy differs from its siblings.
    """

    cutout: Cutout
    left: int
    top: int
    region: int
    category_id: int
    group_id: int
    peak: tuple[int, int, float]
    origin: dict[str, Any]
    gain: np.ndarray | float = 1.0

    @property
    def placed(self) -> PlacedMask:
        """The copy's mask; the crop may reach beyond the photo."""
        return PlacedMask(self.left, self.top, self.cutout.mask)


@dataclass
class Plan:
    """What is pasted into a photo, in order, and what was left out."""

    pastes: list[Paste] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    licenses: list[str] = field(default_factory=list)
    """Licences of the photos that donors come from, each once, in order."""


def free_of_region(photo: Photo, region: int, avoid_instances: bool) -> np.ndarray:
    """The pixels of a region in which objects may be placed, bool [H, W]."""
    free = photo.regions == region
    if avoid_instances:
        for instance in photo.instances:
            window = instance.placed.window
            free[window] &= ~instance.placed.mask
    return free
