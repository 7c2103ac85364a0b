"""Masks as Label Studio regions, in whichever form a project's configuration offers."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from annotation.data_url import mask_to_data_url
from annotation.label_config import Control, LabelConfig, MaskKind, controls_with
from annotation.outlines import GOOD_ENOUGH, MAX_POINTS, is_simple, outline
from toolkit.errors import InputError
from toolkit.masks import mask_box, mask_to_brush_rle

# Label Studio keeps two RGBA canvases of the photo's size for each bitmask or brush region of an open task.
CANVAS_BYTES_PER_PIXEL = 8
CANVAS_BUDGET = 1 << 30  # bytes; above it the page gets slow, so outlines are preferred

MASK_KINDS: tuple[MaskKind, ...] = ("bitmask", "polygon", "brush")

SPECK_PIXELS = 8  # parts smaller than this are noise …
SPECK_FRACTION = 0.01  # … and so are parts smaller than this share of the largest part


@dataclass(frozen=True)
class Canvas:
    """The image tag that regions are drawn on, and what Label Studio says of its photo.

    `rotation` is how far the page has turned the photo; coordinates are those of the photo as it is stored.
    """

    width: int
    height: int
    to_name: str
    rotation: float = 0
    item_index: int | None = None


@dataclass(frozen=True)
class Drawing:
    """What a region shows besides its mask."""

    label: str
    score: float | None = None
    id: str = field(default_factory=lambda: secrets.token_urlsafe(8)[:10])
    parent: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    origin: str = "prediction"


def without_specks(
    mask: np.ndarray, min_pixels: int = 4, box: tuple[float, float, float, float] | None = None
) -> np.ndarray | None:
    """A mask without its specks, or None when too little is left to be a region.

    Args:
        mask: bool [H, W].
        min_pixels: masks smaller than this are dropped.
        box: (x0, y0, x1, y1) that holds the mask; looked for when not given.
    """
    x0, y0, x1, y1 = (int(side) for side in (mask_box(mask) if box is None else box))
    if x1 <= x0 or y1 <= y0:
        return None
    part = mask[y0:y1, x0:x1].astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()  # [count], the background first
    areas[0] = 0
    if areas.max(initial=0) < max(1, min_pixels):
        return None
    if count == 2:
        return mask
    keep = areas >= min(areas.max(), max(SPECK_PIXELS, SPECK_FRACTION * areas.max()))
    cleaned = np.zeros_like(mask)
    cleaned[y0:y1, x0:x1] = keep[labels]
    return cleaned


def offered_kinds(config: LabelConfig, image: str, label: str) -> dict[MaskKind, Control]:
    """The mask tags that can hold `label` on the image tag `image`, by kind.

    Raises:
        InputError: none can.
    """
    controls = controls_with(config, image, label)
    if not controls:
        raise InputError(
            "labelling configuration: no BitmaskLabels, PolygonLabels or BrushLabels tag of "
            f'"{image}" offers the label "{label}"; add it to one'
        )
    return controls


def region(
    mask: np.ndarray,
    controls: Mapping[MaskKind, Control],
    canvas: Canvas,
    drawing: Drawing,
    *,
    light: bool = False,
) -> dict[str, Any]:
    """One region with the mask, of the kind in `controls` that suits it best.

    A bitmask holds anything exactly; next comes a plain outline, for a mask of one piece that it follows
    closely; then the brush; and an outline with bridges where a project has polygons only.

    Args:
        mask: bool [H, W] of the canvas's size, not empty.
        controls: the tags that offer the label, by kind.
        canvas: what is drawn on.
        drawing: label, score, id, parent and notes.
        light: whether a plain outline is better than a bitmask.
    """
    bitmask, polygon, brush = (controls.get(kind) for kind in MASK_KINDS)
    if bitmask and not (light and polygon):
        return _assemble(bitmask, {"imageDataURL": mask_to_data_url(mask)}, canvas, drawing)
    if polygon:
        points, fidelity = outline(mask)
        plain = len(points) <= MAX_POINTS and fidelity >= GOOD_ENOUGH and is_simple(mask)
        if plain or not (bitmask or brush):
            scaled = points * (100 / canvas.width, 100 / canvas.height)
            return _assemble(polygon, {"points": scaled.tolist(), "closed": True}, canvas, drawing)
    if bitmask:
        return _assemble(bitmask, {"imageDataURL": mask_to_data_url(mask)}, canvas, drawing)
    if brush:
        return _assemble(brush, {"format": "rle", "rle": mask_to_brush_rle(mask)}, canvas, drawing)
    raise InputError("labelling configuration: no tag to draw the mask with")


def draw(
    masks: Sequence[np.ndarray],
    drawings: Sequence[Drawing],
    controls: Mapping[MaskKind, Control],
    canvas: Canvas,
    already: int = 0,
) -> list[dict[str, Any]]:
    """Regions for several masks of one photo, light enough for the page.

    Args:
        masks: bool [H, W] each, of the canvas's size, none empty.
        drawings: one for each mask.
        controls: the tags that offer the label, by kind.
        canvas: what is drawn on.
        already: how many regions the task holds already.
    """
    canvases = (len(masks) + already) * canvas.width * canvas.height * CANVAS_BYTES_PER_PIXEL
    light = canvases > CANVAS_BUDGET
    return [
        region(mask, controls, canvas, drawing, light=light)
        for mask, drawing in zip(masks, drawings, strict=True)
    ]


def _assemble(control: Control, value: dict[str, Any], canvas: Canvas, drawing: Drawing) -> dict[str, Any]:
    built: dict[str, Any] = {
        "id": drawing.id,
        "from_name": control.name,
        "to_name": canvas.to_name,
        "type": control.result_type,
        "value": {**value, control.result_type: [drawing.label]},
        "original_width": canvas.width,
        "original_height": canvas.height,
        "image_rotation": canvas.rotation,
        "origin": drawing.origin,
        "readonly": False,
    }
    if drawing.score is not None:
        built["score"] = round(float(drawing.score), 4)
    if drawing.parent is not None:
        built["parentID"] = drawing.parent
    if drawing.meta:
        built["meta"] = dict(drawing.meta)
    if canvas.item_index is not None:
        built["item_index"] = canvas.item_index
    return built
