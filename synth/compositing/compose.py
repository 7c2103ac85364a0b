"""Draw a plan into its photo, and keep the masks true to what can be seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synth.compositing.matching import (
    Surface,
    estimate_noise,
    match_jpeg,
    match_light,
    match_noise,
    mean_colour,
    noise_of,
    noise_response,
)
from synth.compositing.shadow import cast_contact_shadow
from synth.regions.labels import GROUND
from synth.scene import Paste, Photo, Plan, SceneInstance
from synth.settings import CompositingSettings
from toolkit.blending import PlacedMask, occlude, paste
from toolkit.cutouts import Cutout, vary_colour


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
    boxes = [one.placed.box for one in instances]
    shadow = settings.shadow if rng.random() < settings.shadow_share else 0.0
    response = noise_response(photo.image) if settings.noise and plan.pastes else None
    surfaces: dict[int, Surface] = {}
    grain: dict[tuple[int, int], float] = {}  # noise of each object in each region, from its first copy
    for item in plan.pastes:
        surface = surfaces.get(item.region)
        if surface is None:
            surface = surfaces[item.region] = _surface(photo, item.region, response, settings)
        cutout = _matched(item, photo, surface, settings)
        if surface.noise > 0:
            own = (item.region, item.group_id)
            if own not in grain:
                grain[own] = estimate_noise(cutout.image, cutout.mask)
            cutout = match_noise(cutout, surface.noise, rng, grain[own])
        if shadow > 0 and item.region == GROUND:
            cast_contact_shadow(canvas, item.placed, shadow)
        placed = paste(canvas, cutout, item.left, item.top, blend)
        x0, y0, x1, y1 = placed.box
        for number, (left, top, right, bottom) in enumerate(boxes):
            if left < x1 and right > x0 and top < y1 and bottom > y0:
                instances[number] = _behind(instances[number], placed)
        boxes.append(placed.box)
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


def _surface(
    photo: Photo, region: int, response: np.ndarray | None, settings: CompositingSettings
) -> Surface:
    mask = photo.regions == region
    return Surface(
        colour=mean_colour(photo.image, mask),
        noise=0.0 if response is None else noise_of(response, mask),
        quality=photo.quality if settings.jpeg else None,
    )


def _matched(
    item: Paste,
    photo: Photo,
    surface: Surface,
    settings: CompositingSettings,
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
        target = (surface.colour + local) / 2
        cutout = match_light(cutout, target, settings.light, settings.colour, item.gain)
    elif np.any(item.gain != 1.0):
        cutout = vary_colour(cutout, item.gain)
    if surface.quality is not None:
        cutout = match_jpeg(cutout, surface.quality)
    return cutout
