"""A contact sheet of a split: one HTML file that holds the photos and draws the masks over them."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from toolkit import masks
from toolkit.data.copying import records_with_files
from toolkit.drawing import palette
from toolkit.errors import InputError
from toolkit.files import write_text_atomic
from toolkit.image import open_image
from toolkit.report import Report
from toolkit.split import Annotation, ImageRecord, Split

UNGROUPED = "#ffffff"
GROUP_COLOURS = 24
# How far the drawn outlines may stray, in pixels of the thumbnail.
TOLERANCE = 0.5


def browse(split: Split, page: Path, report: Report, *, side: int = 320, quality: int = 80) -> None:
    """Write the contact sheet of all images of a split.

    Args:
        split: The split, or a `subset` of one.
        page: The HTML file to write.
        report: Where images and masks that cannot be shown are listed.
        side: Longest side of a thumbnail, pixels.
        quality: JPEG quality of the thumbnails, 1 to 95.

    Raises:
        InputError: No image is there, or the page cannot be written.
    """
    cells, shown = [], 0
    for record, path in records_with_files(split, report, "drawing"):
        try:
            photo = open_image(path)
        except InputError as error:
            report.add_skipped(record.file_name, str(error))
            continue
        annotations = split.annotations_of(record.id)
        shown += len(annotations)
        cells.append(_cell(record, photo, annotations, split.category_names, report, side, quality))
    title = html.escape(split.root.resolve().name)
    subtitle = f"{len(cells)} photos, {shown} annotations"
    write_text_atomic(page, _PAGE.format(title=title, subtitle=subtitle, side=side, cells="\n".join(cells)))


def _cell(
    record: ImageRecord,
    photo: np.ndarray,
    annotations: Sequence[Annotation],
    names: dict[int, str],
    report: Report,
    side: int,
    quality: int,
) -> str:
    """Return the HTML of one photo: a thumbnail with an SVG of its masks on top."""
    import cv2

    scale = min(1.0, side / max(photo.shape[:2]))
    width, height = (max(1, round(length * scale)) for length in (photo.shape[1], photo.shape[0]))
    small = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    data = base64.b64encode(encoded.tobytes()).decode()
    colours = group_colours(annotations)
    shapes = []
    # The largest first, so that small objects stay within reach of the pointer.
    for annotation in sorted(annotations, key=lambda one: -(one.area or 0)):
        try:
            path = outline_path(annotation.mask(record.height, record.width), width, height)
        except InputError as error:
            report.add_skipped(f"{record.file_name}: annotation {annotation.id}", f"not drawn: {error}")
            continue
        label = html.escape(_label(annotation, names))
        crowd = ' class="crowd"' if annotation.iscrowd else ""
        colour = UNGROUPED if annotation.group_id is None else colours[annotation.group_id]
        shapes.append(f'<path{crowd} style="--c:{colour}" d="{path}"><title>{label}</title></path>')
    caption = f"{record.file_name} · masks: {len(annotations)} · groups: {len(colours)}"
    return (
        f'<figure><div class="photo" style="width:{width}px;aspect-ratio:{width}/{height}">'
        f'<img loading="lazy" src="data:image/jpeg;base64,{data}" alt="">'
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none">{"".join(shapes)}</svg></div>'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def group_colours(annotations: Sequence[Annotation]) -> dict[int, str]:
    """Give every group of an image a colour, in order of appearance, as `#rrggbb`."""
    groups = list(dict.fromkeys(a.group_id for a in annotations if a.group_id is not None))
    colours = np.asarray(palette(GROUP_COLOURS)).tolist()
    return {
        group: "#{:02x}{:02x}{:02x}".format(*colours[i % GROUP_COLOURS]) for i, group in enumerate(groups)
    }


def outline_path(mask: np.ndarray, width: int, height: int) -> str:
    """Return the outline of a mask, holes included, as the path of an SVG of `width` × `height`."""
    scale_x, scale_y = width / mask.shape[1], height / mask.shape[0]
    pieces = []
    for polygon in masks.mask_to_polygons(mask, TOLERANCE / max(scale_x, scale_y)):
        for ring in (polygon.exterior, *polygon.interiors):
            points = np.asarray(ring.coords)[:-1] * (scale_x, scale_y)
            pieces.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z")
    return "".join(pieces)


def _label(annotation: Annotation, names: dict[int, str]) -> str:
    parts = [names.get(annotation.category_id, f"category {annotation.category_id}"), f"id {annotation.id}"]
    if annotation.group_id is not None:
        parts.append(f"group {annotation.group_id}")
    if annotation.origin is not None and "kind" in annotation.origin:
        parts.append(str(annotation.origin["kind"]))
    if annotation.iscrowd:
        parts.append("crowd")
    return " · ".join(parts)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ margin: 0; padding: 16px; background: #16181c; color: #dde; font: 14px/1.4 system-ui, sans-serif }}
header {{ display: flex; gap: 24px; align-items: baseline; margin-bottom: 12px; flex-wrap: wrap }}
h1 {{ font-size: 20px; margin: 0 }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax({side}px, 1fr)); gap: 12px;
align-items: start }} figure {{ margin: 0; background: #22252b; border-radius: 6px; overflow: hidden }}
.photo {{ position: relative; max-width: 100%; margin: auto }}
img, svg {{ position: absolute; inset: 0; width: 100%; height: 100% }}
figcaption {{ padding: 6px 8px; font-size: 12px; color: #aab; overflow-wrap: anywhere }}
path {{ fill: var(--c); fill-opacity: .4; fill-rule: evenodd; stroke: var(--c); stroke-width: 1.2 }}
path:hover {{ fill-opacity: .75; stroke: #fff }}
.crowd {{ stroke-dasharray: 4 3; fill-opacity: .15 }}
#plain:checked ~ main svg {{ display: none }}
</style></head><body>
<input type="checkbox" id="plain" hidden>
<header><h1>{title}</h1><span>{subtitle}</span><label for="plain"><u>masks on / off</u></label>
<span>Siblings share a colour; point at a mask to read what it is.</span></header>
<main>
{cells}
</main></body></html>
"""
