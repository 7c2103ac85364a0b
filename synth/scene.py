"""One synthetic scene: what stands in the photo, what is pasted where, and the picture that comes out.

`plan_scene` decides everything and touches no pixel of the photo; `compose` draws the plan. The same plan
drawn with several blends differs only at the seams.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from synth.compositing.matching import (
    Surface,
    estimate_noise,
    match_jpeg,
    match_light,
    match_noise,
    mean_colour,
)
from synth.compositing.shadow import cast_contact_shadow
from synth.objects.donors import MARGIN, Donor
from synth.placement import FreeSpace, count_copies
from synth.regions.labels import GROUND, PLACEABLE, REGION_NAMES
from synth.settings import CompositingSettings, SynthSettings
from toolkit.blending import PlacedMask, occlude, paste
from toolkit.cutouts import Cutout, cut_out, transform, vary_colour

# Rows above the ground's own top where its horizon is taken to lie, as a share of the ground's height: a
# point at the very top of the ground would else have size nought.
_HORIZON = 0.35
_PERSPECTIVE_LIMITS = (0.5, 1.8)
_REDRAWS = 4  # draws for each donor wanted, since the same one may come again


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
        )


@dataclass(frozen=True)
class Paste:
    """One copy, ready to be drawn.

    Attributes:
        cutout: the object, already varied.
        left: column of the cut-out's first column.
        top: row of the cut-out's first row.
        region: index of the region.
        category_id: of the split that is being made.
        group_id: siblings share one.
        peak: x, y and distance of the map's maximum that it was placed by.
        origin: its provenance, as written to the annotation; the blend is added when it is drawn.
    """

    cutout: Cutout
    left: int
    top: int
    region: int
    category_id: int
    group_id: int
    peak: tuple[int, int, float]
    origin: dict[str, Any]

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


DrawDonor = Callable[[np.random.Generator, float, float, frozenset[int]], Donor | None]
"""Draws a donor of an area from … to … pixels, of a category not in the set if there is one."""


def free_of_region(photo: Photo, region: int, avoid_instances: bool) -> np.ndarray:
    """The pixels of a region in which objects may be placed, bool [H, W]."""
    free = photo.regions == region
    if avoid_instances:
        for instance in photo.instances:
            window = instance.placed.window
            free[window] &= ~instance.placed.mask
    return free


def plan_scene(photo: Photo, draw: DrawDonor, settings: SynthSettings, rng: np.random.Generator) -> Plan:
    """Decide what is pasted where.

    Region by region: its own distractors, topped up with donors to at least three different objects; the
        largest
    first; each copied as often as its area allows; each copy at the maximum of what is left of the region's
    distance map (SimpSON, Section 4).

    Args:
        photo: the photo.
        draw: draws donors.
        settings: of the synthesis.
        rng: makes every choice.
    """
    plan = Plan()
    next_group = 1 + max((instance.group_id for instance in photo.instances), default=0)
    counts = np.bincount(photo.regions.ravel(), minlength=256)
    for region in PLACEABLE:
        area = int(counts[region])
        if area == 0:
            continue
        if area < settings.placement.min_region * photo.regions.size:
            plan.left_out["region too small"] += 1
            continue
        objects = _objects_of_region(photo, region, area, draw, settings, rng)
        if len(objects) < settings.objects.per_region:
            plan.left_out["no donor of a fitting size"] += settings.objects.per_region - len(objects)
        space = FreeSpace(free_of_region(photo, region, settings.placement.avoid_instances))
        for donor in sorted(objects, key=lambda donor: -donor.cutout.area):
            group = donor.group
            if group is None:
                group, next_group = next_group, next_group + 1
            _place_copies(plan, photo, donor, region, area, group, space, settings, rng)
    return plan


def _objects_of_region(
    photo: Photo,
    region: int,
    area: int,
    draw: DrawDonor,
    settings: SynthSettings,
    rng: np.random.Generator,
) -> list[Donor]:
    """At least three different objects to copy in a region, where there are as many."""
    least, most = (ratio * area for ratio in settings.objects.area_ratio)
    own = [
        instance
        for instance in photo.instances
        if instance.copyable and instance.region == region and least <= instance.full_area <= most
    ]
    chosen: list[Donor] = []
    for place in rng.permutation(len(own)):
        # One object of each group: its siblings are siblings already.
        if len(chosen) < settings.objects.own_per_region and all(
            own[place].group_id != one.group for one in chosen
        ):
            chosen.append(photo.donor(own[place], settings.compositing.feather))
    for _ in range(_REDRAWS * settings.objects.per_region):
        if len(chosen) >= settings.objects.per_region:
            break
        drawn = draw(rng, least, most, frozenset(donor.category_id for donor in chosen))
        if drawn is None:
            break
        if all((drawn.image, drawn.annotation) != (one.image, one.annotation) for one in chosen):
            chosen.append(drawn)
    return chosen


def _place_copies(
    plan: Plan,
    photo: Photo,
    donor: Donor,
    region: int,
    region_area: int,
    group: int,
    space: FreeSpace,
    settings: SynthSettings,
    rng: np.random.Generator,
) -> None:
    """Place the copies of one object, until there are enough or the next does not fit."""
    placement = settings.placement
    wanted = count_copies(donor.cutout.area, region_area, placement.coverage, placement.max_copies)
    for number in range(wanted):
        peak = space.peak()
        if peak is None:
            plan.left_out["region full"] += wanted - number
            return
        scale, angle, flip, gain = _draw_variation(settings, rng)
        if region == GROUND:
            scale *= perspective_scale(photo.regions, peak.y) ** placement.perspective
        cutout = transform(donor.cutout, scale=scale, angle=angle, flip=flip)
        if cutout is None:
            plan.left_out["too small after scaling"] += 1
            continue
        x, y = _jittered(peak.x, peak.y, peak.distance, cutout, placement.jitter, rng)
        left, top = x - cutout.width // 2, y - cutout.height // 2
        placed = PlacedMask(left, top, cutout.mask)
        if 1.0 - space.share_free(placed) > placement.max_overlap:
            # The map's maximum only falls: no later copy of this object fits either.
            plan.left_out["does not fit"] += wanted - number
            return
        space.remove(placed, placement.gap)
        origin = {
            "kind": "pasted",
            "split": donor.split,
            "image": donor.image,
            "annotation": donor.annotation,
            "region": REGION_NAMES[region],
            "x": x,
            "y": y,
            "scale": round(scale, 4),
            "angle": round(angle, 2),
            "flip": flip,
            "gain": [round(float(value), 4) for value in gain],
        }
        if donor.license is not None and donor.license not in plan.licenses:
            plan.licenses.append(donor.license)
        plan.pastes.append(
            Paste(
                cutout=vary_colour(cutout, gain) if (gain != 1.0).any() else cutout,
                left=left,
                top=top,
                region=region,
                category_id=donor.category_id,
                group_id=group,
                peak=(peak.x, peak.y, peak.distance),
                origin=origin,
            )
        )


def _draw_variation(
    settings: SynthSettings, rng: np.random.Generator
) -> tuple[float, float, bool, np.ndarray]:
    """Scale, angle in degrees, whether mirrored, and the gain of each channel, float [3]."""
    variation = settings.variation
    scale = float(np.exp(rng.uniform(*np.log(variation.scale))))
    angle = float(rng.uniform(*variation.angle))
    flip = bool(rng.random() < variation.flip)
    brightness = rng.uniform(-variation.brightness, variation.brightness)
    colour = rng.uniform(-variation.colour, variation.colour, 3)
    return scale, angle, flip, (1.0 + brightness) * (1.0 + colour)


def _jittered(
    x: int, y: int, distance: float, cutout: Cutout, jitter: float, rng: np.random.Generator
) -> tuple[int, int]:
    """A place near a peak; with full jitter, anywhere that the copy still lies in the peak's free circle."""
    radius, angle = np.sqrt(rng.random()), 2 * np.pi * rng.random()
    reach = jitter * max(distance - 0.5 * float(np.hypot(cutout.width, cutout.height)), 0.0) * radius
    return x + round(reach * float(np.cos(angle))), y + round(reach * float(np.sin(angle)))


def perspective_scale(regions: np.ndarray, row: int) -> float:
    """Size of things on the ground at a row, by their size at the middle of the ground.

    On a plane seen at an angle, size grows in proportion to the distance below the horizon. The horizon is
    taken to lie a little above the ground's first row.

    Args:
        regions: uint8 [H, W], index map.
        row: of the thing.
    """
    rows = np.flatnonzero((regions == GROUND).any(axis=1))
    if rows.size == 0:
        return 1.0
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    horizon = top - _HORIZON * (bottom - top)
    middle = (top + bottom) / 2 - horizon
    return float(np.clip((row + 0.5 - horizon) / middle, *_PERSPECTIVE_LIMITS))


def compose(
    photo: Photo, plan: Plan, blend: str, settings: CompositingSettings, rng: np.random.Generator
) -> tuple[np.ndarray, list[SceneInstance], list[SceneInstance]]:
    """Draw a plan.

    Args:
        photo: the photo; unchanged.
        plan: what to paste.
        blend: how.
        settings: of the compositing.
        rng: draws noise, and whether there are shadows.

    Returns:
        The picture, uint8 [H, W, 3]; its instances with what is visible of them; and those dropped because
        too little is.
    """
    canvas = photo.image.copy()
    instances = list(photo.instances)
    shadow = settings.shadow if rng.random() < settings.shadow_share else 0.0
    surfaces: dict[int, Surface] = {}
    for item in plan.pastes:
        surface = surfaces.get(item.region)
        if surface is None:
            surface = surfaces[item.region] = _surface(photo, item.region, settings)
        cutout = _matched(item, photo, surface, settings, rng)
        if shadow > 0 and item.region == GROUND:
            cast_contact_shadow(canvas, item.placed, shadow)
        placed = paste(canvas, cutout, item.left, item.top, blend)
        instances = [_behind(one, placed) for one in instances]
        instances.append(
            SceneInstance(
                placed=placed,
                category_id=item.category_id,
                group_id=item.group_id,
                origin={**item.origin, "blend": blend},
                full_area=item.cutout.area,
                region=item.region,
            )
        )
    kept: list[SceneInstance] = []
    dropped: list[SceneInstance] = []
    for one in instances:
        enough = one.placed.area > 0 and one.visible >= settings.min_visible
        (kept if enough else dropped).append(one)
    return canvas, kept, dropped


def _behind(instance: SceneInstance, pasted: PlacedMask) -> SceneInstance:
    """What is left of an instance once an object lies over it."""
    placed = occlude(instance.placed, pasted)
    return instance if placed is instance.placed else replace(instance, placed=placed, rle=None)


def _surface(photo: Photo, region: int, settings: CompositingSettings) -> Surface:
    mask = photo.regions == region
    return Surface(
        colour=mean_colour(photo.image, mask),
        noise=estimate_noise(photo.image, mask) if settings.noise else 0.0,
        quality=photo.quality if settings.jpeg else None,
    )


def _matched(
    item: Paste,
    photo: Photo,
    surface: Surface,
    settings: CompositingSettings,
    rng: np.random.Generator,
) -> Cutout:
    """The copy in the light of the place where it lands."""
    cutout = item.cutout
    if settings.light > 0 or settings.colour > 0:
        rows = slice(max(item.top, 0), item.top + cutout.height)
        columns = slice(max(item.left, 0), item.left + cutout.width)
        spot = photo.image[rows, columns]
        under = photo.regions[rows, columns] == item.region
        # Half the region's light, half that of the very spot, which may lie in a shadow.
        local = mean_colour(spot, under) if under.any() else surface.colour
        cutout = match_light(cutout, (surface.colour + local) / 2, settings.light, settings.colour)
    if surface.quality is not None:
        cutout = match_jpeg(cutout, surface.quality)
    if surface.noise > 0:
        cutout = match_noise(cutout, surface.noise, rng)
    return cutout
