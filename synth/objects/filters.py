"""Which annotated objects are fit to be copied: whole, not hidden, large enough."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from synth.settings import ObjectSettings
from toolkit.blending import PlacedMask
from toolkit.split.columns import AnnotationColumns

CROWD, NO_MASK, SMALL, CUT_OFF = "a crowd", "no box or area", "too small", "cut off by the border"
OCCLUDED, IN_PARTS, EMPTY = "touched by other objects", "in several parts", "an empty mask"


def record_faults(
    columns: AnnotationColumns, widths: np.ndarray, heights: np.ndarray, settings: ObjectSettings
) -> dict[str, np.ndarray]:
    """Find the annotations that their records alone disqualify, without a mask decoded.

    Args:
        columns: N annotations.
        widths: int [N], width of each one's photo.
        heights: int [N], height of each one's photo.
        settings: the limits.

    Returns:
        For each reason, bool [N]; an annotation may fail for several.
    """
    x, y, width, height = columns.bbox.T
    known = np.isfinite(columns.bbox).all(axis=1) & np.isfinite(columns.area) & (columns.area > 0)
    with np.errstate(invalid="ignore"):
        small = np.minimum(width, height) < settings.min_side
        cut = (
            (x < settings.border)
            | (y < settings.border)
            | (x + width > widths - settings.border)
            | (y + height > heights - settings.border)
        )
    return {
        CROWD: columns.iscrowd.copy(),
        NO_MASK: ~known,
        SMALL: known & small,
        CUT_OFF: known & cut if settings.border > 0 else np.zeros(len(columns.id), bool),
    }


def mask_fault(placed: PlacedMask, others: Sequence[PlacedMask], settings: ObjectSettings) -> str | None:
    """Say why a mask disqualifies its object, or None.

    An object that another one touches along much of its outline is taken for occluded: annotations don't say
    which of two lies in front. So is one whose parts lie apart.

    Args:
        placed: the object's mask.
        others: the masks of the other objects in its photo.
        settings: the limits.
    """
    if placed.area == 0:
        return EMPTY
    count, _, stats, _ = cv2.connectedComponentsWithStats(placed.mask.astype(np.uint8), connectivity=8)
    if count > 2 and stats[1:, cv2.CC_STAT_AREA].max() < settings.min_main_part * placed.area:
        return IN_PARTS
    outline = outer_outline(placed)
    touched = np.zeros(outline.mask.shape, bool)
    for other in others:
        _mark_common(touched, outline, other)
    if np.count_nonzero(touched & outline.mask) > settings.max_contact * outline.area:
        return OCCLUDED
    return None


def outer_outline(placed: PlacedMask, width: int = 2) -> PlacedMask:
    """The pixels just outside a mask, in a crop wider by as many; it may reach beyond the photo."""
    inside = np.pad(placed.mask.astype(np.uint8), width)
    grown = cv2.dilate(inside, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1)))
    return PlacedMask(placed.left - width, placed.top - width, grown > inside)


def _mark_common(touched: np.ndarray, outline: PlacedMask, other: PlacedMask) -> None:
    height, width = touched.shape
    x0, y0 = max(outline.left, other.left), max(outline.top, other.top)
    x1 = min(outline.left + width, other.left + other.mask.shape[1])
    y1 = min(outline.top + height, other.top + other.mask.shape[0])
    if x0 < x1 and y0 < y1:
        window = (slice(y0 - outline.top, y1 - outline.top), slice(x0 - outline.left, x1 - outline.left))
        touched[window] |= other.mask[y0 - other.top : y1 - other.top, x0 - other.left : x1 - other.left]


def region_under(placed: PlacedMask, regions: np.ndarray, width: int = 4) -> int:
    """The region that an object lies on: the one around it.

    Segmentation gives an object's own pixels to "other", so what counts is the ring outside its outline.

    Args:
        placed: the object's mask.
        regions: uint8 [H, W], index map.
        width: of the ring, pixels.

    Returns:
        The index that more than half of the ring has, or -1.
    """
    ring = outer_outline(placed, width)
    y0, x0 = max(ring.top, 0), max(ring.left, 0)
    crop = regions[y0 : ring.top + ring.mask.shape[0], x0 : ring.left + ring.mask.shape[1]]
    inside = ring.mask[y0 - ring.top :, x0 - ring.left :][: crop.shape[0], : crop.shape[1]]
    values = crop[inside]
    if values.size == 0:
        return -1
    counts = np.bincount(values, minlength=1)
    best = int(counts.argmax())
    return best if counts[best] * 2 > values.size else -1
