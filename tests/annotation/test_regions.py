"""Masks to Label Studio regions and back, in every form, against arbitrary masks."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from label_studio_sdk.converter.brush import mask2rle
from PIL import Image

from annotation.data_url import data_url_to_mask, mask_to_data_url
from annotation.decoding import region_labels, region_to_mask
from annotation.label_config import Control, Label
from annotation.outlines import fill, is_simple, join_rings, outline
from annotation.regions import Canvas, Drawing, draw, region, without_specks
from toolkit.errors import InputError
from toolkit.masks import mask_iou, mask_to_polygons

LABELS = (Label("Distractor", "all"),)
CONTROLS = {
    "bitmask": Control("mask", "BitmaskLabels", "image", LABELS),
    "polygon": Control("outline", "PolygonLabels", "image", LABELS),
    "brush": Control("brush", "BrushLabels", "image", LABELS),
}

SHAPES = st.tuples(st.integers(1, 24), st.integers(1, 24))
MASKS = SHAPES.flatmap(lambda shape: arrays.arrays(bool, shape))
FILLED = MASKS.filter(lambda mask: mask.any())


def canvas_of(mask: np.ndarray, **fields) -> Canvas:
    return Canvas(width=mask.shape[1], height=mask.shape[0], to_name="image", **fields)


def only(*kinds: str) -> dict:
    return {kind: CONTROLS[kind] for kind in kinds}


def disk(size: int, radius: float, hole: float = 0.0) -> np.ndarray:
    ys, xs = np.mgrid[:size, :size] + 0.5 - size / 2
    distance = np.hypot(xs, ys)
    return (distance < radius) & (distance >= hole)


def as_browser_png(mask: np.ndarray) -> str:
    """What the page makes of a region that somebody painted on: black, transparent elsewhere."""
    pixels = np.zeros((*mask.shape, 4), dtype=np.uint8)
    pixels[..., 3] = mask * 255
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


@given(MASKS)
def test_bitmasks_hold_any_mask(mask):
    assert np.array_equal(data_url_to_mask(mask_to_data_url(mask), max_pixels=10_000), mask)


@given(MASKS)
def test_painted_bitmasks_are_read_by_their_alpha(mask):
    assert np.array_equal(data_url_to_mask(as_browser_png(mask), max_pixels=10_000), mask)


def test_the_browser_sees_only_what_is_set():
    mask = disk(20, 8, hole=3)
    png = base64.b64decode(mask_to_data_url(mask).partition(",")[2])
    alpha = np.array(Image.open(io.BytesIO(png)).convert("RGBA"))[..., 3]
    assert np.array_equal(alpha == 255, mask)
    assert set(np.unique(alpha)) == {0, 255}


def test_a_fully_painted_photo_is_no_empty_mask():
    assert data_url_to_mask(as_browser_png(np.ones((4, 5), bool)), max_pixels=100).all()


@given(FILLED)
def test_one_ring_holds_holes_and_parts(mask):
    ring = join_rings(mask_to_polygons(mask))
    assert np.array_equal(fill(ring, *mask.shape), mask)


@given(FILLED, st.sampled_from(["bitmask", "brush", "polygon"]))
def test_every_form_round_trips(mask, kind):
    built = region(mask, only(kind), canvas_of(mask), Drawing("Distractor", score=0.5))
    back = region_to_mask(built)
    if kind == "polygon" and len(built["value"]["points"]) >= 200:
        assert mask_iou(back, mask) > 0  # simplified: too many points would freeze the page
    else:
        assert np.array_equal(back, mask)
    assert region_labels(built) == ["Distractor"]


def test_brush_regions_are_what_the_sdk_writes():
    mask = disk(32, 12, hole=5)
    built = region(mask, only("brush"), canvas_of(mask), Drawing("Distractor"))
    assert built["value"]["rle"] == mask2rle((mask * 255).astype(np.uint8))
    assert built["value"]["format"] == "rle"
    assert built["type"] == "brushlabels"


def test_a_region_carries_what_survives_submission():
    mask = disk(16, 5)
    drawing = Drawing("Distractor", score=0.91237, id="abc", parent="boss", meta={"text": ["hello"]})
    built = region(mask, CONTROLS, canvas_of(mask, rotation=90, item_index=2), drawing)
    assert built["from_name"] == "mask"
    assert built["to_name"] == "image"
    assert built["type"] == "bitmasklabels"
    assert built["value"]["bitmasklabels"] == ["Distractor"]
    assert (built["original_width"], built["original_height"], built["image_rotation"]) == (16, 16, 90)
    assert (built["id"], built["parentID"], built["score"]) == ("abc", "boss", 0.9124)
    assert built["meta"] == {"text": ["hello"]}
    assert built["item_index"] == 2
    assert built["origin"] == "prediction"


def test_the_form_follows_the_mask():
    whole, ring = disk(40, 15), disk(40, 15, hole=6)
    choice = {"polygon", "brush"}
    assert region(whole, only(*choice), canvas_of(whole), Drawing("Distractor"))["type"] == "polygonlabels"
    assert region(ring, only(*choice), canvas_of(ring), Drawing("Distractor"))["type"] == "brushlabels"
    assert region(ring, CONTROLS, canvas_of(ring), Drawing("Distractor"))["type"] == "bitmasklabels"
    bridged = region(ring, only("polygon"), canvas_of(ring), Drawing("Distractor"))
    assert np.array_equal(region_to_mask(bridged), ring)
    with pytest.raises(InputError, match="no tag to draw the mask with"):
        region(ring, {}, canvas_of(ring), Drawing("Distractor"))


def test_many_masks_of_a_large_photo_become_outlines_where_outlines_will_do():
    large = np.zeros((3000, 4000), dtype=bool)
    large[100:200, 100:300] = True
    holed = large.copy()
    holed[150, 150] = False
    canvas = canvas_of(large)
    drawings = [Drawing("Distractor") for _ in range(2)]
    # 3000 × 4000 pixels are 96 MB of canvases for each region: a dozen pass 1 GiB.
    few = draw([large, holed], drawings, CONTROLS, canvas)
    assert [one["type"] for one in few] == ["bitmasklabels", "bitmasklabels"]
    many = draw([large, holed], drawings, CONTROLS, canvas, already=10)
    assert [one["type"] for one in many] == ["polygonlabels", "bitmasklabels"]
    assert many[0]["value"]["points"] == [[2.5, 100 / 30], [7.5, 100 / 30], [7.5, 200 / 30], [2.5, 200 / 30]]


def test_outlines_stay_small_and_close():
    mask = disk(1200, 500)
    points, fidelity = outline(mask)
    assert 3 <= len(points) <= 200
    assert fidelity > 0.99
    assert is_simple(mask)
    assert not is_simple(disk(30, 10, hole=4))
    assert not is_simple(np.eye(3, dtype=bool))


@given(FILLED)
def test_outlines_never_have_fewer_than_three_points(mask):
    assert len(outline(mask)[0]) >= 3


def test_specks_go_and_parts_stay():
    mask = np.zeros((50, 60), dtype=bool)
    mask[5:25, 5:25] = True  # 400 pixels
    mask[30:40, 30:40] = True  # a real second part
    mask[45, 50:53] = True  # a speck
    expected = mask.copy()
    expected[45] = False
    assert np.array_equal(without_specks(mask), expected)
    assert np.array_equal(without_specks(mask, box=(5, 5, 53, 46)), expected)
    assert without_specks(np.zeros((5, 5), dtype=bool)) is None
    assert without_specks(np.eye(3, dtype=bool)) is None  # 3 pixels
    tiny = np.zeros((9, 9), dtype=bool)
    tiny[2:4, 2:4] = True
    assert np.array_equal(without_specks(tiny), tiny)
    assert without_specks(tiny, min_pixels=5) is None


@given(FILLED)
def test_without_specks_only_takes_away(mask):
    left = without_specks(mask, min_pixels=1)
    assert left is not None
    assert left.any()
    assert not (left & ~mask).any()


def drawn(value: dict, kind: str, width: int = 200, height: int = 100, **fields) -> dict:
    return {
        "id": "r1",
        "type": kind,
        "value": value,
        "original_width": width,
        "original_height": height,
        **fields,
    }


def test_rectangles_are_masks_too():
    mask = region_to_mask(
        drawn({"x": 10, "y": 20, "width": 50, "height": 30, "rotation": 0}, "rectanglelabels")
    )
    expected = np.zeros((100, 200), dtype=bool)
    expected[20:50, 20:120] = True
    assert np.array_equal(mask, expected)
    # A quarter turn clockwise about its top left corner (100, 20): 60 wide and 20 high becomes x 80–100, y
    # 20–80.
    turned = region_to_mask(drawn({"x": 50, "y": 20, "width": 30, "height": 20, "rotation": 90}, "rectangle"))
    expected = np.zeros((100, 200), dtype=bool)
    expected[20:80, 80:100] = True
    assert np.array_equal(turned, expected)


def test_ellipses_are_masks_too():
    mask = region_to_mask(
        drawn({"x": 50, "y": 50, "radiusX": 20, "radiusY": 20, "rotation": 0}, "ellipselabels")
    )
    assert mask.sum() == pytest.approx(np.pi * 40 * 20, rel=0.01)
    assert mask[50, 61:139].all()
    assert not mask[50, :59].any()
    turned = region_to_mask(
        drawn({"x": 50, "y": 50, "radiusX": 20, "radiusY": 20, "rotation": 90}, "ellipse")
    )
    assert turned.sum() == pytest.approx(np.pi * 40 * 20, rel=0.01)
    assert turned[11:89, 100].all()
    assert not turned[50, 122:].any()


def test_what_draws_no_area_has_no_mask():
    assert (
        region_to_mask(drawn({"x": 1, "y": 1, "width": 0.5, "keypointlabels": ["a"]}, "keypointlabels"))
        is None
    )
    assert region_to_mask({"id": "c", "type": "choices", "value": {"choices": ["good"]}}) is None
    assert region_to_mask({"id": "c", "type": "relation"}) is None


@pytest.mark.parametrize(
    "broken",
    [
        drawn({"imageDataURL": "http://example.org/mask.png"}, "bitmasklabels"),
        drawn({"imageDataURL": "data:image/png;base64,!!!"}, "bitmasklabels"),
        drawn({"imageDataURL": "data:image/png;base64,AAAA"}, "bitmasklabels"),
        drawn({"imageDataURL": mask_to_data_url(np.ones((3, 3), bool))}, "bitmasklabels"),
        drawn({"rle": [1, 2, 3]}, "brushlabels"),
        drawn({"rle": [300]}, "brushlabels"),
        drawn({"rle": "abc"}, "brushlabels"),
        drawn({"rle": mask2rle(np.tile([[0, 255]], (100, 100)).astype(np.uint8))[:99]}, "brushlabels"),
        drawn({"points": [[1, 2], [3, 4]]}, "polygonlabels"),
        drawn({"points": [[1, 2], [3, 4], [5, float("nan")]]}, "polygonlabels"),
        drawn({"points": [[1, 2], [3, 4], ["a", 1]]}, "polygonlabels"),
        drawn({"points": [[1, 2], [3, 4], [1e9, 1]]}, "polygonlabels"),
        drawn({"points": {"a": 1}}, "polygonlabels"),
        drawn({"x": None, "y": 1, "width": 2, "height": 3}, "rectanglelabels"),
        drawn({"points": [[1, 2], [3, 4], [5, 9]]}, "polygonlabels", width=0),
        drawn({"points": [[1, 2], [3, 4], [5, 9]]}, "polygonlabels", width=10**9, height=10**9),
        {"id": "r1", "type": "polygonlabels", "value": {"points": [[1, 2], [3, 4], [5, 9]]}},
    ],
)
def test_damaged_regions_are_refused_by_name(broken):
    with pytest.raises(InputError, match="region 'r1'"):
        region_to_mask(broken)
