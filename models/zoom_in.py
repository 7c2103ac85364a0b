"""Zoom-in: what comes out small is looked at again, in a crop that shows it larger.

The copies of a photo that the network sees end at a working size; a thing of 20 pixels in a photo of 12 MP is
5 pixels there. A crop around the click is encoded like a photo, and the small things that it proposes join
the proposals of the views. It may be enlarged beyond the photo's own resolution: the network has a cell for
every 4 pixels, and masks of three cells are no masks. Clicks that lie near each other share a crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from models.one_click.dynamic_masks import MASK_STRIDE
from models.one_click.finder import ObjectFinder
from models.placed_object import PlacedObject

Point = tuple[float, float]

CROP = 256  # side, pixels of the network's input
SMALL_SIDE = 48.0  # an object with a smaller larger side, in pixels of the finest view, is small
SHOWN_SIDE = 128.0  # what a crop makes of an object's larger side, at most
LEAST_GAIN = 2.0  # a crop that enlarges an object by less, against the finest view, is not worth its time
LARGEST_SCALE = 4.0  # crop pixels per pixel of the photo
# The same for siblings: more brought them nothing, and dozens of crops take seconds.
SIBLINGS_SCALE = 2.0
STEPS_PER_OCTAVE = 2  # scales are rounded down to so many a doubling, so that objects share crops
MARGIN = 0.25  # of the crop's side: how near its border a click may lie that shares it
LIKELY = 0.1  # of the best vote: what proposals with less than that say does not matter
CROPS_AT_ONCE = 8  # in one batch
MOST_CROPS = 32  # of one call; clicks beyond keep what the views say


@dataclass(frozen=True)
class Crop:
    """A square of the photo, enlarged or reduced by ``scale``.

    Attributes:
        left: First column, pixels of the whole photo at that scale; a multiple of 4, as `top` is.
        top: First row.
        scale: Pixels of the crop per pixel of the photo.
        members: Indices of the clicks that it is for.
    """

    left: int
    top: int
    scale: float
    members: tuple[int, ...]


def smallest_side(proposals: Sequence[PlacedObject]) -> float:
    """The larger side of the smallest object that a click likely means, pixels of the photo; 0 of none."""
    least = LIKELY * max((item.vote for item in proposals), default=0.0)
    return min((item.side for item in proposals if item.vote >= least), default=0.0)


def zoom_scale(side: float, finest: float, largest: float = LARGEST_SCALE) -> float | None:
    """The scale of a crop for an object, or None where the finest view does.

    Args:
        side: Its larger side, pixels of the photo.
        finest: Scale of the finest view.
        largest: Scale that is not exceeded.
    """
    if side <= 0 or side * finest >= SMALL_SIDE:
        return None
    wanted = min(SHOWN_SIDE / side, largest)
    steps = np.floor(np.log2(wanted) * STEPS_PER_OCTAVE + 1e-9)
    scale = float(2 ** (steps / STEPS_PER_OCTAVE))
    return scale if scale >= LEAST_GAIN * finest else None


def small_ones(items: Sequence[PlacedObject], finest: float) -> list[PlacedObject]:
    """What is small in the finest view, of a crop's proposals: a crop shows too little around larger things.

    Args:
        items: What a crop proposes.
        finest: Scale of the finest view.
    """
    return [item for item in items if item.side * finest < SMALL_SIDE]


def plan_crops(
    points: Sequence[Point], scales: Sequence[float | None], height: int, width: int
) -> list[Crop]:
    """Crops that show every click with a scale; the first click of each lies in its middle.

    Args:
        points: (x, y) of the clicks, pixels of the photo.
        scales: For each click its crop's scale, or None for no crop.
        height: Of the photo, pixels.
        width: Of the photo, pixels.

    Returns:
        At most `MOST_CROPS`, within the photo where that is large enough.
    """
    crops: list[Crop] = []
    left_over = {index: scale for index, scale in enumerate(scales) if scale is not None}
    low, high = MARGIN * CROP, (1 - MARGIN) * CROP
    while left_over and len(crops) < MOST_CROPS:
        first, scale = next(iter(left_over.items()))
        x, y = points[first][0] * scale, points[first][1] * scale
        left, top = _start(x, width * scale), _start(y, height * scale)
        del left_over[first]
        near = [
            index
            for index, own in left_over.items()
            if own == scale
            and low <= points[index][0] * scale - left < high
            and low <= points[index][1] * scale - top < high
        ]
        crops.append(Crop(left, top, scale, (first, *near)))
        for index in near:
            del left_over[index]
    return crops


def _start(middle: float, length: float) -> int:
    """Where a crop around a point starts, a multiple of the mask stride within the photo's length."""
    start = min(max(middle - CROP / 2, 0.0), max(length - CROP, 0.0))
    return int(start // MASK_STRIDE) * MASK_STRIDE


def cut(photo: np.ndarray, crop: Crop, colour: Sequence[float]) -> tuple[np.ndarray, int, int]:
    """The pixels of a crop, uint8 ``[CROP, CROP, 3]``, and how many rows and columns lie in the photo.

    Args:
        photo: uint8 ``[H, W, 3]``.
        crop: What to cut.
        colour: RGB 0–255 of what lies beyond the photo.
    """
    height, width = photo.shape[:2]
    rows = min(max(round(height * crop.scale) - crop.top, 1), CROP)
    columns = min(max(round(width * crop.scale) - crop.left, 1), CROP)
    border = 2  # pixels of the photo that interpolation and the blur reach beyond the crop
    x1, y1 = (max(int(start / crop.scale) - border, 0) for start in (crop.left, crop.top))
    x2, y2 = (int(np.ceil((start + CROP) / crop.scale)) + border for start in (crop.left, crop.top))
    part = photo[y1:y2, x1:x2]
    if crop.scale < 1:  # against aliasing: linear interpolation reads two neighbours only
        part = cv2.GaussianBlur(part, (0, 0), 0.4 / crop.scale)
    step = 1 / crop.scale
    matrix = np.array(
        [
            [step, 0, (crop.left + 0.5) * step - 0.5 - x1],
            [0, step, (crop.top + 0.5) * step - 0.5 - y1],
        ]
    )
    pixels = cv2.warpAffine(
        part,
        matrix,
        (CROP, CROP),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    pixels[rows:], pixels[:, columns:] = np.round(colour), np.round(colour)
    return pixels, rows, columns


@torch.no_grad()
def look_closer(
    finder: ObjectFinder, photo: np.ndarray, points: Sequence[Point], scales: Sequence[float | None]
) -> list[list[PlacedObject]]:
    """What crops propose for each click; nothing for a click without a scale.

    Args:
        finder: The 1C-DSN.
        photo: uint8 ``[H, W, 3]`` RGB.
        points: (x, y) of the clicks, pixels of the photo.
        scales: See :func:`plan_crops`.
    """
    found: list[list[PlacedObject]] = [[] for _ in points]
    crops = plan_crops(points, scales, *photo.shape[:2])
    colour = finder.model.config.image_mean
    for start in range(0, len(crops), CROPS_AT_ONCE):
        batch = crops[start : start + CROPS_AT_ONCE]
        cuts = [cut(photo, crop, colour) for crop in batch]
        pixels = torch.from_numpy(np.stack([one for one, _, _ in cuts]).transpose(0, 3, 1, 2).copy())
        pyramid = finder.model.encode(pixels.to(finder.model.device))
        features = finder.model.mask_features(pyramid)
        asked = []
        for number, (crop, (_, rows, columns)) in enumerate(zip(batch, cuts, strict=True)):
            encoded = finder.remember([level[number] for level in pyramid], features[number], rows, columns)
            clicks = [
                [(points[index][0] * crop.scale - crop.left, points[index][1] * crop.scale - crop.top)]
                for index in crop.members
            ]
            asked.append((encoded, clicks))
        for crop, proposed in zip(batch, finder.candidates_in(asked), strict=True):
            for index, items in zip(crop.members, proposed, strict=True):
                for item in items:
                    moved = replace(
                        item,
                        top=item.top + crop.top // MASK_STRIDE,
                        left=item.left + crop.left // MASK_STRIDE,
                        clicks=tuple((x + crop.left, y + crop.top) for x, y in item.clicks),
                    )
                    found[index].append(PlacedObject(moved, crop.scale))
    return found


def closer_proposals(
    finder: ObjectFinder,
    photo: np.ndarray,
    points: Sequence[Point],
    sides: Sequence[float],
    finest: float,
    largest: float = LARGEST_SCALE,
) -> list[list[PlacedObject]]:
    """The small things that crops propose for clicks on small things; nothing for the other clicks.

    Args:
        finder: The 1C-DSN.
        photo: uint8 ``[H, W, 3]`` RGB.
        points: (x, y) of the clicks, pixels of the photo.
        sides: Of what they are on, pixels of the photo.
        finest: Scale of the finest view.
        largest: Scale that no crop exceeds.
    """
    scales = [zoom_scale(side, finest, largest) for side in sides]
    return [small_ones(items, finest) for items in look_closer(finder, photo, points, scales)]
