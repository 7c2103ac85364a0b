"""Draw selections: coloured masks with outlines, clicks as small marks, contact sheets."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.image import open_image
from toolkit.selection import Instance

FILL = 0.42  # opacity of a mask
LIGHTER = 0.35  # share of white in an outline
WHITE = (255, 255, 255)
INK = (24, 24, 27)
POSITIVE = (22, 163, 74)
NEGATIVE = (220, 38, 38)

_GOLDEN_ANGLE = 137.50776405003785  # degrees: successive hues never come close to an earlier one for long
_FIRST_HUE = 0.0  # a pink that few photos hold
_TONES = ((0.60, 0.21), (0.70, 0.21), (0.82, 0.16))  # (lightness, chroma) by turns
_SUBPIXEL_BITS = 4

# OKLab to linear sRGB (Ottosson, "A perceptual color space for image processing", 2020).
_OKLAB_TO_LMS = np.array(
    [
        [1, 0.3963377774, 0.2158037573],
        [1, -0.1055613458, -0.0638541728],
        [1, -0.0894841775, -1.2914855480],
    ]
)
_LMS_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def palette(count: int) -> np.ndarray:
    """Return bright colours that differ from each other; the first ones stay the same for any count.

    Returns:
        uint8 [count, 3], RGB.
    """
    index = np.arange(count)
    hue = np.radians(_FIRST_HUE + index * _GOLDEN_ANGLE)
    lightness, chroma = np.array(_TONES)[index % len(_TONES)].T
    oklab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)  # [N, 3]
    linear = ((oklab @ _OKLAB_TO_LMS.T) ** 3 @ _LMS_TO_RGB.T).clip(0, 1)
    # The transfer curve of sRGB (IEC 61966-2-1).
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(encoded * 255).astype(np.uint8)


def draw_overlay(
    image: np.ndarray, instances: Sequence[Instance], clicks: Sequence[Click] = ()
) -> np.ndarray:
    """Draw masks, filled and outlined, and clicks over a photo.

    Instances of one group share a colour; those without a group get one each.

    Args:
        image: uint8 [H, W, 3]; not changed.
        instances: masks bool [H, W].
        clicks: in pixels of the photo; green on the object, red off it.

    Returns:
        uint8 [H, W, 3].

    Raises:
        InputError: a mask of another size than the photo.
    """
    canvas = open_image(image).copy()
    unit = max(canvas.shape[:2]) / 640  # lines keep their share of the picture
    colours = _colours(instances)
    outlines = []
    for number, (instance, colour) in enumerate(zip(instances, colours, strict=True), start=1):
        if instance.mask.shape != canvas.shape[:2]:
            raise InputError(f"mask {number} is {instance.mask.shape}, but the photo is {canvas.shape[:2]}")
        outlines.append(_fill(canvas, instance.mask, colour))
    for contours, colour in zip(outlines, colours, strict=True):
        _outline(canvas, contours, colour, unit)
    for click in clicks:
        _mark(canvas, click, unit)
    return canvas


def contact_sheet(
    images: Sequence[np.ndarray],
    columns: int | None = None,
    cell: int = 320,
    gap: int = 12,
    background: tuple[int, int, int] = WHITE,
) -> np.ndarray:
    """Lay images out in rows, each scaled to the same longer side; a row is as high as its highest image.

    Args:
        images: as `open_image` takes arrays.
        columns: images per row; None makes about as many rows as columns.
        cell: longer side of each image on the sheet, in pixels.
        gap: around and between images, in pixels.
        background: RGB.

    Returns:
        uint8 [H, W, 3].

    Raises:
        InputError: no images.
    """
    if not images:
        raise InputError("a contact sheet needs at least one image")
    columns = min(columns or math.ceil(math.sqrt(len(images))), len(images))
    fitted = [_fit(open_image(image), cell) for image in images]
    rows = [fitted[start : start + columns] for start in range(0, len(fitted), columns)]
    heights = [max(small.shape[0] for small in row) for row in rows]
    shape = (sum(heights) + gap * (len(rows) + 1), columns * (cell + gap) + gap, 3)
    sheet = np.full(shape, background, dtype=np.uint8)
    top = gap
    for row, row_height in zip(rows, heights, strict=True):
        for column, small in enumerate(row):
            height, width = small.shape[:2]
            y = top + (row_height - height) // 2
            x = gap + column * (cell + gap) + (cell - width) // 2
            sheet[y : y + height, x : x + width] = small
        top += row_height + gap
    return sheet


def _colours(instances: Sequence[Instance]) -> list[tuple[int, int, int]]:
    """Give each instance its colour: by group, in order of appearance."""
    keys = [("group", i.group) if i.group is not None else ("alone", n) for n, i in enumerate(instances)]
    order = {key: index for index, key in enumerate(dict.fromkeys(keys))}
    colours = palette(len(order)).tolist()
    return [tuple(colours[order[key]]) for key in keys]


def _fill(canvas: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int]) -> list[np.ndarray]:
    """Tint the pixels of a mask, and return its contours for the outline."""
    binary = np.ascontiguousarray(mask, dtype=bool).view(np.uint8)
    x, y, width, height = cv2.boundingRect(binary)
    if width == 0:
        return []
    inside = mask[y : y + height, x : x + width].astype(bool)
    window = canvas[y : y + height, x : x + width]
    tinted = window[inside] * (1 - FILL) + np.array(colour) * FILL
    window[inside] = np.rint(tinted).astype(np.uint8)
    contours, _ = cv2.findContours(
        binary[y : y + height, x : x + width], cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=(x, y)
    )
    return list(contours)


def _outline(
    canvas: np.ndarray, contours: list[np.ndarray], colour: tuple[int, int, int], unit: float
) -> None:
    """Draw the contours of one mask: light on a thin dark rim, which shows on any background."""
    if not contours:
        return
    points = np.concatenate(contours)[:, 0]
    extent = float(np.ptp(points, axis=0).min()) + 1
    line = max(1, round(min(1.6 * unit, extent / 6)))
    cv2.drawContours(canvas, contours, -1, INK, line + max(1, round(unit)), cv2.LINE_AA)
    light = tuple(round(value + (255 - value) * LIGHTER) for value in colour)
    cv2.drawContours(canvas, contours, -1, light, line, cv2.LINE_AA)


def _mark(canvas: np.ndarray, click: Click, unit: float) -> None:
    """Draw a click: a coloured dot with a white ring and a dark rim."""
    scale = 1 << _SUBPIXEL_BITS
    # OpenCV puts whole numbers on pixel centres.
    center = (round((click.x - 0.5) * scale), round((click.y - 0.5) * scale))
    radius = max(4.0, 5 * unit)
    for part, colour in ((1.0, INK), (0.84, WHITE), (0.52, POSITIVE if click.positive else NEGATIVE)):
        cv2.circle(canvas, center, round(radius * part * scale), colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)


def _fit(image: np.ndarray, cell: int) -> np.ndarray:
    """Scale an image so that its longer side is `cell` pixels."""
    height, width = image.shape[:2]
    scale = cell / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
