"""Label Studio regions of every mask type, back to masks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from annotation.data_url import data_url_to_mask
from annotation.outlines import MIN_POINTS, fill
from toolkit.errors import InputError
from toolkit.image import MAX_PIXELS
from toolkit.masks import brush_rle_to_mask

ELLIPSE_POINTS = 360
MAX_OUTLINE_POINTS = 100_000


def region_size(region: Mapping[str, Any]) -> tuple[int, int]:
    """(height, width) of the photo that a region was drawn on.

    Raises:
        InputError: it does not say, or says nonsense.
    """
    sides = []
    for name in ("original_height", "original_width"):
        side = region.get(name)
        if isinstance(side, bool) or not isinstance(side, (int, float)) or not 1 <= side <= MAX_PIXELS:
            raise InputError(f"{_name(region)}: {name} must be the size of the photo in pixels, not {side!r}")
        sides.append(int(side))
    if sides[0] * sides[1] > MAX_PIXELS:
        raise InputError(f"{_name(region)}: {sides[1]} × {sides[0]} pixels is more than {MAX_PIXELS:,}")
    return sides[0], sides[1]


def region_to_mask(region: Mapping[str, Any]) -> np.ndarray | None:
    """The mask of a region: bitmask, brush, polygon, rectangle or ellipse.

    Args:
        region: one item of an annotation's `result`.

    Returns:
        bool [original_height, original_width]; None for a result without an area (choices, keypoints, …).

    Raises:
        InputError: the region is damaged; names it.
    """
    value = region.get("value")
    if not isinstance(value, Mapping):
        return None
    try:
        return _decode(value, region)
    except InputError as error:
        message = str(error)
        raise InputError(
            message if message.startswith("region ") else f"{_name(region)}: {message}"
        ) from error


def region_labels(region: Mapping[str, Any]) -> list[str]:
    """The labels of a region, whatever its type; empty when it has none."""
    value = region.get("value")
    kind = region.get("type")
    if not isinstance(value, Mapping) or not isinstance(kind, str):
        return []
    labels = value.get(kind) or value.get("labels")
    return [str(label) for label in labels] if isinstance(labels, (list, tuple)) else []


def _decode(value: Mapping[str, Any], region: Mapping[str, Any]) -> np.ndarray | None:
    if isinstance(value.get("imageDataURL"), str):
        height, width = region_size(region)
        mask = data_url_to_mask(value["imageDataURL"], max_pixels=MAX_PIXELS)
        if mask.shape != (height, width):
            raise InputError(
                f"its image is {mask.shape[1]} × {mask.shape[0]} pixels, the photo {width} × {height}"
            )
        return mask
    if "rle" in value:
        height, width = region_size(region)
        return brush_rle_to_mask(_bytes(value["rle"]), height, width)
    if "points" in value:
        return _polygon(value["points"], *region_size(region))
    if {"x", "y", "radiusX", "radiusY"} <= value.keys():
        return _fill_percent(_ellipse(value, *region_size(region)), *region_size(region))
    if {"x", "y", "width", "height"} <= value.keys():
        return _fill_percent(_rectangle(value, *region_size(region)), *region_size(region))
    return None


def _bytes(rle: Any) -> Sequence[int]:
    try:
        return bytes(rle)
    except (TypeError, ValueError) as error:
        raise InputError("bad brush RLE: expected a list of bytes, 0 to 255") from error


def _polygon(points: Any, height: int, width: int) -> np.ndarray:
    if not isinstance(points, (list, tuple)) or len(points) > MAX_OUTLINE_POINTS:
        raise InputError(f"expected points to be a list of at most {MAX_OUTLINE_POINTS:,} [x, y] pairs")
    try:
        array = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("expected points to be a list of [x, y] pairs of numbers, in percent") from error
    if array.ndim != 2 or array.shape[1] != 2 or len(array) < MIN_POINTS:
        raise InputError(f"expected at least {MIN_POINTS} points [x, y], in percent")
    return _fill_percent(array, height, width)


def _fill_percent(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Fill an outline [N, 2] given in percent of the photo."""
    if not (np.abs(points) < 1e4).all():  # also refuses NaN
        raise InputError("a coordinate is not a number or lies far outside the photo; they are in percent")
    return fill(points * (width / 100, height / 100), height, width)


def _numbers(value: Mapping[str, Any], *names: str) -> list[float]:
    numbers = []
    for name in names:
        number = value.get(name, 0)
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
            raise InputError(f"{name} must be a number, not {number!r}")
        numbers.append(float(number))
    return numbers


def _rectangle(value: Mapping[str, Any], height: int, width: int) -> np.ndarray:
    """The corners of a rectangle, turned about its top left corner, in percent."""
    x, y, wide, high, degrees = _numbers(value, "x", "y", "width", "height", "rotation")
    corners = np.array([(0, 0), (wide, 0), (wide, high), (0, high)]) * (width, height)  # 1/100 pixel
    return _turn(corners, degrees) / (width, height) + (x, y)


def _ellipse(value: Mapping[str, Any], height: int, width: int) -> np.ndarray:
    """Points around an ellipse, turned about its centre, in percent."""
    x, y, radius_x, radius_y, degrees = _numbers(value, "x", "y", "radiusX", "radiusY", "rotation")
    angles = np.linspace(0, 2 * np.pi, ELLIPSE_POINTS, endpoint=False)
    around = np.stack([radius_x * np.cos(angles), radius_y * np.sin(angles)], axis=1) * (width, height)
    return _turn(around, degrees) / (width, height) + (x, y)


def _turn(points: np.ndarray, degrees: float) -> np.ndarray:
    """Turn points [N, 2] clockwise about the origin (y runs down)."""
    angle = math.radians(degrees)
    matrix = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return points @ matrix


def _name(region: Mapping[str, Any]) -> str:
    return f"region {region.get('id')!r}"
