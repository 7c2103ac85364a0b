"""One image of a build, step by step: photo, regions, each placement on its distance map, result."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from synth.placement import distance_map
from synth.regions.labels import CEILING, GROUND, OTHER, REGION_NAMES, RIVER, SEA, SKY, UNKNOWN, WALL
from synth.scene import Paste, Photo, Plan, SceneInstance, free_of_region
from synth.settings import PlacementSettings
from toolkit.drawing import contact_sheet, draw_overlay
from toolkit.masks import mask_box
from toolkit.selection import Instance

REGION_COLOURS = {
    OTHER: (150, 150, 150),
    GROUND: (170, 120, 70),
    CEILING: (240, 220, 110),
    WALL: (205, 120, 190),
    SKY: (120, 180, 250),
    SEA: (40, 80, 190),
    RIVER: (70, 190, 180),
    UNKNOWN: (30, 30, 30),
}
_CELL = 360  # pixels, longer side of a panel
_INK, _PAPER = (20, 20, 20), (255, 255, 255)


def draw_regions(image: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Tint a photo by region, uint8 [H, W, 3], with the names of those that take up more than a little."""
    palette = np.zeros((256, 3), np.uint8)
    for region, colour in REGION_COLOURS.items():
        palette[region] = colour
    picture = cv2.addWeighted(image, 0.4, palette[regions], 0.6, 0)
    for region in np.unique(regions):
        inside = regions == region
        if inside.mean() < 0.01:
            continue
        y, x = np.unravel_index(int(distance_map(inside).argmax()), regions.shape)
        picture = caption(picture, REGION_NAMES[int(region)], (int(x), int(y)))
    return picture


def draw_distance_map(free: np.ndarray, paste: Paste) -> np.ndarray:
    """The distance map before a paste, its maximum, and the outline of the copy put there, as a picture."""
    distance = distance_map(free)
    scaled = np.rint(distance * (255.0 / max(float(distance.max()), 1.0))).astype(np.uint8)
    picture = cv2.applyColorMap(scaled, cv2.COLORMAP_VIRIDIS)[..., ::-1].copy()
    picture[~free] //= 3
    full = np.zeros(free.shape, np.uint8)
    window = _inside(paste, free.shape)
    full[window[0]] = paste.cutout.mask[window[1]]
    contours, _ = cv2.findContours(full, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    unit = max(round(max(free.shape) / 300), 1)
    cv2.drawContours(picture, contours, -1, _PAPER, unit)
    x, y, _ = paste.peak
    cv2.drawMarker(picture, (x, y), (255, 80, 60), cv2.MARKER_CROSS, 8 * unit, unit)
    return picture


def step_by_step(
    photo: Photo,
    plan: Plan,
    canvas: np.ndarray,
    kept: Sequence[SceneInstance],
    settings: PlacementSettings,
    steps: int = 12,
) -> np.ndarray:
    """Draw how an image came about.

    Args:
        photo: what it started from.
        plan: what was pasted.
        canvas: the result, uint8 [H, W, 3].
        kept: its instances.
        settings: of the placement.
        steps: most placements shown; of more, some are left out evenly.

    Returns:
        A sheet of panels, uint8 [H, W, 3].
    """
    height, width = photo.regions.shape
    panels = [_titled(photo.image, "photo"), _titled(draw_regions(photo.image, photo.regions), "regions")]
    shown = set(
        np.linspace(0, len(plan.pastes) - 1, min(steps, len(plan.pastes))).round().astype(int).tolist()
    )
    free: dict[int, np.ndarray] = {}
    for number, paste in enumerate(plan.pastes):
        region = paste.region
        if region not in free:
            free[region] = free_of_region(photo, region, settings.avoid_instances)
        if number in shown:
            title = f"{number + 1} of {len(plan.pastes)}: {REGION_NAMES[region]}, {paste.peak[2]:.0f} px free"
            panels.append(_titled(draw_distance_map(free[region], paste), title))
        window = _inside(paste, (height, width))
        taken = np.zeros((height, width), np.uint8)
        taken[window[0]] = paste.cutout.mask[window[1]]
        if settings.gap > 0:
            distance = cv2.distanceTransform(1 - taken, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            free[region] &= distance > settings.gap
        else:
            free[region] &= taken == 0
    panels.append(_titled(canvas, "result"))
    instances = []
    for one in kept:
        mask = one.placed.full(height, width)
        instances.append(Instance(mask, mask_box(mask), 1.0, group=one.group_id))
    panels.append(_titled(draw_overlay(canvas, instances), f"{len(kept)} instances, coloured by group"))
    return contact_sheet(panels, columns=4, cell=_CELL)


def caption(picture: np.ndarray, text: str, centre: tuple[int, int]) -> np.ndarray:
    """Write a word over a picture."""
    size = max(max(picture.shape[:2]) / 900, 0.4)
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    at = (
        int(np.clip(centre[0] - width // 2, 2, max(picture.shape[1] - width - 2, 2))),
        int(np.clip(centre[1], height + 2, picture.shape[0] - 2)),
    )
    picture = np.ascontiguousarray(picture)
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, _INK, 3, cv2.LINE_AA)
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, _PAPER, 1, cv2.LINE_AA)
    return picture


def _titled(picture: np.ndarray, title: str) -> np.ndarray:
    """A panel: the picture at panel size with a line of text above it."""
    scale = _CELL / max(picture.shape[:2])
    size = (max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    bar = np.full((22, small.shape[1], 3), 255, np.uint8)
    cv2.putText(bar, title, (2, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)
    return np.concatenate([bar, small])


def _inside(paste: Paste, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of a copy inside the photo: where it is there, and where in the copy."""
    height, width = paste.cutout.mask.shape
    x0, y0 = max(paste.left, 0), max(paste.top, 0)
    x1, y1 = min(paste.left + width, shape[1]), min(paste.top + height, shape[0])
    here = (slice(y0, max(y1, y0)), slice(x0, max(x1, x0)))
    there = (slice(y0 - paste.top, max(y1, y0) - paste.top), slice(x0 - paste.left, max(x1, x0) - paste.left))
    return here, there
