"""Simulated clicks for training: the first ones, and the next one on a wrong mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from models.systems.clicking.guidance import ABSENT, NEGATIVE, POSITIVE

ERODE_PIXELS = 3  # an eroded mask lacks so many pixels around
LEAST_ERODED = 10  # pixels that must be left of it
BORDER_SHARE = 0.1  # width of the border in which negatives lie, of the square root of the object's area


@dataclass(frozen=True)
class PointSampling:
    """How many points training pictures start with, and where.

    Source: RITM (Sofiiuk et al., 2022), section 3.2, and its released configuration.

    Attributes:
        most: Positive points, and negative points, at most.
        decay: k + 1 points are this much less likely than k.
        erode_probability: That positives come from the eroded mask, away from the border.
        elsewhere: Shares of negatives on the background, on another object and along the object's border.
    """

    most: int = 24
    decay: float = 0.8
    erode_probability: float = 0.9
    elsewhere: tuple[float, float, float] = (0.1, 0.4, 0.5)


def sample_points(
    mask: np.ndarray, others: Sequence[np.ndarray], rng: np.random.Generator, sampling: PointSampling
) -> np.ndarray:
    """Points for one object.

    Args:
        mask: bool ``[H, W]``, the object.
        others: bool ``[H, W]`` each, the other objects of the picture.
        rng: Source of randomness.
        sampling: How many, and where.

    Returns:
        float32 ``[2 · most, 3]`` of (x, y, kind), at pixel centres: positives, negatives, then rows that
        stand for no point. At least one is positive, unless the mask is empty.
    """
    points = np.full((2 * sampling.most, 3), ABSENT, np.float32)
    found: list[tuple[int, int, float]] = []
    if mask.any():
        inner = eroded(mask) if rng.random() < sampling.erode_probability else mask
        count = 1 + geometric_count(rng, sampling.most - 1, sampling.decay)
        found += [(*pixel, POSITIVE) for pixel in random_pixels(inner, rng, count)]
    count = geometric_count(rng, sampling.most, sampling.decay)
    places = rng.choice(3, size=count, p=np.array(sampling.elsewhere) / sum(sampling.elsewhere))
    for place in places:
        region = _negative_region(int(place), mask, others, rng)
        found += [(*pixel, NEGATIVE) for pixel in random_pixels(region, rng, 1)]
    if found:
        points[: len(found)] = found
        points[: len(found), :2] += 0.5
    return points


def geometric_count(rng: np.random.Generator, most: int, decay: float) -> int:
    """A number from 0 to ``most``; k has a probability proportional to ``decay`` to the power k."""
    weights = decay ** np.arange(most + 1)
    return int(rng.choice(most + 1, p=weights / weights.sum()))


def eroded(mask: np.ndarray) -> np.ndarray:
    """A mask (bool ``[H, W]``) without its border's pixels, or itself where too little would be left."""
    kernel = np.ones((3, 3), np.uint8)
    inner = cv2.erode(np.ascontiguousarray(mask, np.uint8), kernel, iterations=ERODE_PIXELS).astype(bool)
    return inner if inner.sum() > LEAST_ERODED else mask


def border_region(mask: np.ndarray) -> np.ndarray:
    """The pixels just outside a mask (bool ``[H, W]``): up to a tenth of the square root of its area away."""
    reach = np.ceil(BORDER_SHARE * np.sqrt(mask.sum()))
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_C, cv2.DIST_MASK_3)
    return ~mask & (away <= reach)


def random_pixels(region: np.ndarray, rng: np.random.Generator, count: int) -> list[tuple[int, int]]:
    """(column, row) of pixels of a region (bool ``[H, W]``), drawn evenly; none of an empty region."""
    pixels = np.flatnonzero(region)
    if not len(pixels):
        return []
    chosen = pixels[rng.integers(len(pixels), size=count)]
    width = region.shape[1]
    return [(int(pixel % width), int(pixel // width)) for pixel in chosen]


def next_training_point(
    truth: np.ndarray, prediction: np.ndarray, rng: np.random.Generator
) -> tuple[float, float, float] | None:
    """The next click on a wrong mask: anywhere in the middle of the larger error.

    Args:
        truth: bool ``[H, W]``.
        prediction: bool ``[H, W]``.
        rng: Source of randomness.

    Returns:
        (x, y, kind) at a pixel's centre, drawn evenly where the distance to the error's border is more than
        half of its maximum; None where nothing is wrong.

    Source: RITM, section 3.2 (next clicks in training).
    """
    missed, wrong = _depth(truth & ~prediction), _depth(prediction & ~truth)
    positive = missed.max() > wrong.max()
    depth = missed if positive else wrong
    if depth.max() == 0:
        return None
    ((column, row),) = random_pixels(depth > depth.max() / 2, rng, 1)
    return column + 0.5, row + 0.5, POSITIVE if positive else NEGATIVE


def _negative_region(
    place: int, mask: np.ndarray, others: Sequence[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Where a negative point may lie; an empty region where the picture has no such place."""
    if place == 1:
        return others[int(rng.integers(len(others)))] & ~mask if others else np.zeros_like(mask)
    if place == 2:
        return border_region(mask) if mask.any() else np.zeros_like(mask)
    background = ~mask
    for other in others:
        background = background & ~other
    return background


def _depth(region: np.ndarray) -> np.ndarray:
    """Distance of a region's pixels to its border, float32 ``[H, W]``; outside the picture is outside."""
    padded = np.pad(region.astype(np.uint8), 1)
    return cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
