"""Decide what is pasted where; no pixel of the photo is touched.

The same plan drawn with several blends differs only at the seams.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from synth.objects.donors import Donor
from synth.placement import FreeSpace, count_copies
from synth.regions.labels import GROUND, PLACEABLE, REGION_NAMES
from synth.scene import Paste, Photo, Plan, free_of_region
from synth.settings import SynthSettings
from toolkit.blending import PlacedMask
from toolkit.cutouts import Cutout, transform

# Rows above the ground's own top where its horizon is taken to lie, as a share of the ground's height: a
# point at the very top of the ground would else have size nought.
_HORIZON = 0.35
_PERSPECTIVE_LIMITS = (0.5, 1.8)
_REDRAWS = 4  # draws for each donor wanted, since the same one may come again

DrawDonor = Callable[[np.random.Generator, float, float, frozenset[int]], Donor | None]
"""Draws a donor of an area from … to … pixels, of a category not in the set if there is one."""


def plan_scene(photo: Photo, draw: DrawDonor, settings: SynthSettings, rng: np.random.Generator) -> Plan:
    """Decide what is pasted where.

    Region by region: its own distractors, topped up with donors to at least three different objects; the
    largest first; each copied as often as its area allows; each copy at the maximum of what is left of the
    region's distance map (SimpSON, Section 4).

    Args:
        photo: the photo.
        draw: draws donors.
        settings: of the synthesis.
        rng: makes every choice.
    """
    plan = Plan()
    next_group = 1 + max((instance.group_id for instance in photo.instances), default=0)
    for region in PLACEABLE:
        area = int(np.count_nonzero(photo.regions == region))
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
            scale *= _size_at(photo, peak.y, donor) ** placement.perspective
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
                cutout=cutout,
                gain=gain,
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
    drawn = rng.random(7).tolist()  # at once: a call of the generator takes longer than what it draws
    least, most = variation.scale
    scale = least * (most / least) ** drawn[0]
    angle = variation.angle[0] + (variation.angle[1] - variation.angle[0]) * drawn[1]
    brightness = 1.0 + variation.brightness * (2 * drawn[3] - 1)
    gain = np.array([brightness * (1.0 + variation.colour * (2 * value - 1)) for value in drawn[4:]])
    return scale, angle, drawn[2] < variation.flip, gain


def _jittered(
    x: int, y: int, distance: float, cutout: Cutout, jitter: float, rng: np.random.Generator
) -> tuple[int, int]:
    """A place near a peak; with full jitter, anywhere that the copy still lies in the peak's free circle."""
    share, turn = rng.random(2).tolist()
    reach = jitter * max(distance - 0.5 * math.hypot(cutout.width, cutout.height), 0.0) * math.sqrt(share)
    angle = 2 * math.pi * turn
    return x + round(reach * math.cos(angle)), y + round(reach * math.sin(angle))


def _size_at(photo: Photo, row: int, donor: Donor) -> float:
    """Size of a copy at a row of the ground, by its size where the original stands, or at the middle."""
    size = perspective_scale(photo.regions, row)
    if donor.row is not None:
        size /= perspective_scale(photo.regions, donor.row)
    return float(np.clip(size, *_PERSPECTIVE_LIMITS))


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
