"""The demo's page: one self-contained HTML file, no network, no script."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from models.demo.run import Outcome

PAGE_SIDE = 960  # pixels; larger photos are shrunk to this for the page …
SMALL_SIDE = 480  # … and photos smaller than this are enlarged to it, so that outlines are crisp
MASK_EDGE = 0.5
PICTURE_WIDTH = 1400  # pixels
STYLE = Path(__file__).with_name("page.css")


@dataclass(frozen=True)
class Pictures:
    """The pictures of one card, uint8 [H, W, 3], at the size of the page."""

    photo: np.ndarray
    overlay: np.ndarray
    cleaned: np.ndarray


def page_pictures(outcome: Outcome, cleaned: np.ndarray) -> Pictures:
    """Draw a card at the size of the page: the photo with its click, the selection, the cleaned photo."""
    from toolkit.clicks import Click
    from toolkit.drawing import draw_overlay

    side = max(outcome.image.shape[:2])
    scale = PAGE_SIDE / side if side > PAGE_SIDE or side < SMALL_SIDE else 1.0
    photo = resize(outcome.image, scale)
    click = Click(outcome.photo.click[0] * scale, outcome.photo.click[1] * scale)
    selection = [
        replace(instance, mask=resize(instance.mask.astype(np.float32), scale) > MASK_EDGE, click=None)
        for instance in outcome.selection
    ]
    return Pictures(
        draw_overlay(photo, [], [click]), draw_overlay(photo, selection, [click]), resize(cleaned, scale)
    )


def resize(image: np.ndarray, scale: float) -> np.ndarray:
    """Scale an image or map [H, W] or [H, W, C] smoothly."""
    import cv2

    if scale == 1:
        return image
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def data_uri(image: np.ndarray, quality: int = 88) -> str:
    """An image uint8 [H, W, 3] as a JPEG data URI."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def before_and_after(pictures: Pictures) -> np.ndarray:
    """The photo with its click beside the selection, uint8 [H, W, 3], at most `PICTURE_WIDTH` wide."""
    gap = np.full((pictures.photo.shape[0], 12, 3), 255, np.uint8)
    both = np.concatenate([pictures.photo, gap, pictures.overlay], axis=1)
    return resize(both, min(1.0, PICTURE_WIDTH / both.shape[1]))


def render_page(outcomes: Sequence[Outcome], pictures: Mapping[str, Pictures], system_name: str) -> str:
    """Write the page.

    Args:
        outcomes: one per photo; the first one gets the widest card.
        pictures: by the photo's name.
        system_name: the system that answered.

    Returns:
        A whole HTML document; all pictures are inside it.
    """
    cards = "\n".join(_card(outcome, pictures[outcome.photo.name]) for outcome in outcomes)
    rows = "\n".join(_row(outcome) for outcome in outcomes)
    total = sum(len(outcome.selection) for outcome in outcomes)
    example = outcomes[0].photo
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Declutter demo</title>
<style>{STYLE.read_text(encoding="utf-8")}</style>
<main>
<h1>One click, all siblings</h1>
<p class="lead">{len(outcomes)} photos, one click each: {total} objects selected by {escape(system_name)}
on this machine, offline. The dot is the click, placed by hand; the masks are as they came out. None of these
photos was used in training. Only the coins have a reference to count against; on the others, look for
yourself at what is missed and what is wrong.</p>
<div class="cards">
{cards}
</div>
<table>
<caption>Counts and times</caption>
<tr><th>photo</th><th>pixels</th><th>selected</th><th>encode, s</th><th>click, s</th></tr>
{rows}
</table>
<footer>
<p>The same for a photo of yours:
<code>declutter click photo.jpg --at {example.click[0]:g},{example.click[1]:g} --remove</code></p>
<p>Beside this page: the overlays as PNG, the selections as a split (<code>split/</code>, COCO instances
JSON), the figures (<code>result.json</code>) and what was left out (<code>report.json</code>). A photo is
encoded once; every further click on it takes only the click's time.</p>
</footer>
</main>
</html>
"""


def _card(outcome: Outcome, pictures: Pictures) -> str:
    photo = outcome.photo
    name = escape(photo.name)
    first = " first" if outcome.coins is not None else ""
    tabs = ("Photo", "Selection", "Removed")
    inputs = "".join(
        f'<input type="radio" name="{name}" id="{name}-{tab}"{" checked" if tab == "Selection" else ""}>'
        for tab in tabs
    )
    labels = "".join(f'<label for="{name}-{tab}">{tab}</label>' for tab in tabs)
    images = "".join(
        f'<img alt="{name}: {tab.lower()}" src="{data_uri(picture)}">'
        for tab, picture in zip(tabs, (pictures.photo, pictures.overlay, pictures.cleaned), strict=True)
    )
    return f"""<section class="card{first}">{inputs}
<div class="tabs">{labels}</div>
<div class="stage">{images}</div>
<div class="words"><h2>{name}</h2>
<p class="asked">{escape(photo.asked)}</p>
<p><strong>{escape(outcome.verdict)}</strong></p>
<p class="asked">Photo encoded in {outcome.encode_seconds:.2f} s, click answered in
{outcome.click_seconds:.2f} s.</p>
<p class="credit">{escape(photo.credit)}</p></div>
</section>"""


def _row(outcome: Outcome) -> str:
    height, width = outcome.image.shape[:2]
    return (
        f"<tr><td>{escape(outcome.photo.name)}</td><td>{width} × {height}</td>"
        f"<td>{len(outcome.selection)}</td>"
        f"<td>{outcome.encode_seconds:.2f}</td><td>{outcome.click_seconds:.2f}</td></tr>"
    )
