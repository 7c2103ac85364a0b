from __future__ import annotations

import io
import struct
from collections import Counter

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask
from scipy import ndimage

from tests.helpers.masks import SMALL, checkerboard, disk, masks, same
from toolkit.errors import InputError
from toolkit.masks import (
    brush_rle_to_mask,
    mask_box,
    mask_iou,
    mask_to_brush_rle,
    mask_to_png,
    mask_to_rle,
    png_to_mask,
    rle_area,
    rle_box,
    rle_counts,
    rle_iou,
    rle_to_mask,
)


def runs_by_hand(mask: np.ndarray) -> list[int]:
    """Run lengths down the columns, starting with the unset ones: the definition, in plain loops."""
    runs, value = [0], False
    for pixel in mask.T.ravel().tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return runs


# --- RLE --------------------------------------------------------------------------------------------------


def test_rle_of_a_mask_worked_out_by_hand():
    rle = mask_to_rle(SMALL)
    assert rle == {
        "size": [2, 3],
        "counts": "023O",
    }  # 0 unset, 2 set, 3 unset, 1 set; each fits one character
    assert rle_counts(rle).tolist() == [0, 2, 3, 1]
    assert rle_area(rle) == 3
    assert rle_box(rle) == (0, 0, 3, 2)
    assert mask_box(SMALL) == (0, 0, 3, 2)


@given(masks())
def test_rle_round_trip_and_agreement_with_pycocotools(mask):
    rle = mask_to_rle(mask)
    assert isinstance(rle["counts"], str)
    assert same(rle_to_mask(rle), mask)
    reference = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert rle == {"size": list(mask.shape), "counts": reference["counts"].decode()}
    assert rle_area(rle) == int(coco_mask.area(reference)) == mask.sum()
    assert list(rle_box(rle)) == coco_mask.toBbox(reference).tolist()
    assert rle_counts(rle).tolist() == runs_by_hand(mask)


@given(masks())
def test_uncompressed_rle_and_bytes_decode_alike(mask):
    rle = mask_to_rle(mask)
    uncompressed = {"size": list(mask.shape), "counts": runs_by_hand(mask)}
    assert same(rle_to_mask(uncompressed), mask)
    assert same(rle_to_mask({**rle, "counts": rle["counts"].encode()}), mask)
    assert rle_area(uncompressed) == mask.sum()
    assert rle_box(uncompressed) == rle_box(rle)


@given(masks())
def test_box_agrees_with_a_direct_search(mask):
    rows, columns = np.nonzero(mask)
    expected = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if len(rows) else (0, 0, 0, 0)
    assert mask_box(mask) == expected
    x, y, width, height = rle_box(mask_to_rle(mask))
    assert (x, y, x + width, y + height) == expected


@given(masks(), st.data())
def test_rle_in_a_box_is_the_rle_of_the_whole(mask, data):
    x0, y0, x1, y1 = mask_box(mask)
    height, width = mask.shape
    wider = (
        data.draw(st.integers(0, int(x0))),
        data.draw(st.integers(0, int(y0))),
        data.draw(st.integers(int(x1), width)),
        data.draw(st.integers(int(y1), height)),
    )
    assert mask_to_rle(mask, wider) == mask_to_rle(mask)


def test_rle_in_a_box_joins_runs_over_the_photos_edge():
    # The two columns are set from top to bottom: one run of 4, after one unset column.
    mask = np.array([[0, 1, 1], [0, 1, 1]], bool)
    assert mask_to_rle(mask, (1, 0, 3, 2)) == mask_to_rle(mask)
    assert rle_counts(mask_to_rle(mask, (1, 0, 3, 2))).tolist() == [2, 4]


def test_long_runs_take_several_characters():
    mask = np.zeros((1200, 1000), bool)
    mask[7, 500:] = True
    rle = mask_to_rle(mask)
    assert rle_counts(rle).tolist() == [600_007, *[1, 1199] * 499, 1, 1192]
    assert same(rle_to_mask(rle), mask)


def test_decoding_agrees_with_pycocotools_on_a_photo_sized_mask(rng):
    mask = disk(480, 640, 300, 200, 150) & (rng.random((480, 640)) < 0.9)
    rle = mask_to_rle(mask)
    assert same(rle_to_mask(rle), coco_mask.decode(rle).astype(bool))


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32])
def test_masks_of_other_types_count_what_is_not_zero(kind):
    assert mask_to_rle(SMALL.astype(kind) * 3) == mask_to_rle(SMALL)
    assert mask_to_rle(np.asfortranarray(SMALL)) == mask_to_rle(SMALL)
    assert mask_to_rle(np.repeat(SMALL, 2, axis=1)[:, ::2]) == mask_to_rle(SMALL)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (4,), (2, 2, 1)])
def test_what_is_no_mask_is_refused(shape):
    for function in (mask_to_rle, mask_box, mask_to_png, mask_to_brush_rle):
        with pytest.raises(InputError, match=r"\[H, W\]"):
            function(np.zeros(shape, bool))


@pytest.mark.parametrize(
    ("rle", "message"),
    [
        ({"size": [2, 3], "counts": "023"}, "add up to 5"),
        ({"size": [2, 3], "counts": "0232"}, "add up to 9"),
        ({"size": [2, 3], "counts": [0, 2, 3]}, "add up to 5"),
        ({"size": [2, 3], "counts": [8, -2]}, "negative"),
        ({"size": [2, 3], "counts": [0, 2.5, 3.5]}, "whole numbers"),
        ({"size": [2, 3], "counts": None}, "string or a list"),
        ({"size": [2, 3]}, "string or a list"),
        ({"size": [2, 3], "counts": ""}, "cut short"),
        ({"size": [2, 3], "counts": "02o"}, "cut short"),
        ({"size": [2, 3], "counts": "02 1"}, "characters"),
        ({"size": [2, 3], "counts": "02é1"}, "characters"),
        ({"size": [2, 3], "counts": "o" * 40 + "0"}, "too large"),
        ({"counts": "023O"}, "size"),
        ({"size": [2], "counts": "023O"}, "size"),
        ({"size": [0, 3], "counts": ""}, "size"),
        ({"size": ["a", 3], "counts": ""}, "size"),
    ],
)
def test_bad_rle_is_refused_before_pycocotools_reads_past_its_end(rle, message):
    for function in (
        rle_to_mask,
        rle_counts,
        rle_area,
        rle_box,
        lambda rle: rle_iou([rle], [mask_to_rle(SMALL)]),
    ):
        with pytest.raises(InputError, match=message):
            function(rle)


@given(masks(max_side=12), st.data())
def test_damaged_rle_decodes_or_is_refused(mask, data):
    rle = mask_to_rle(mask)
    text = list(rle["counts"])
    text[data.draw(st.integers(0, len(text) - 1))] = chr(data.draw(st.integers(32, 126)))
    try:
        decoded = rle_to_mask({**rle, "counts": "".join(text)})
    except InputError:
        return
    assert decoded.shape == mask.shape
    assert decoded.view(np.uint8).max() <= 1


# --- overlap ----------------------------------------------------------------------------------------------


def test_iou_worked_out_by_hand():
    left, right = np.zeros((4, 6), bool), np.zeros((4, 6), bool)
    left[:, :4] = True  # 16 pixels
    right[:, 2:] = True  # 16 pixels, 8 shared
    empty = np.zeros((4, 6), bool)
    assert mask_iou(left, right) == pytest.approx(8 / 24)
    assert mask_iou(left, left) == 1
    assert mask_iou(left, empty) == 0
    assert mask_iou(empty, empty) == 0
    table = rle_iou(
        [mask_to_rle(left), mask_to_rle(empty)], [mask_to_rle(left), mask_to_rle(right), mask_to_rle(empty)]
    )
    np.testing.assert_allclose(table, [[1, 1 / 3, 0], [0, 0, 0]])
    assert rle_iou([], [mask_to_rle(left)]).shape == (0, 1)
    assert rle_iou([mask_to_rle(left)], []).shape == (1, 0)


@given(masks(max_side=12), st.data())
def test_both_ious_agree_with_counting(mask, data):
    other = np.random.default_rng(data.draw(st.integers(0, 999))).random(mask.shape) < 0.5
    union = (mask | other).sum()
    expected = (mask & other).sum() / union if union else 0
    assert mask_iou(mask, other) == pytest.approx(expected)
    assert rle_iou([mask_to_rle(mask)], [mask_to_rle(other)])[0, 0] == pytest.approx(expected)


def test_masks_of_different_sizes_have_no_iou():
    with pytest.raises(InputError, match="one size"):
        mask_iou(SMALL, SMALL.T)
    with pytest.raises(InputError, match="one size"):
        rle_iou([mask_to_rle(SMALL)], [mask_to_rle(SMALL.T)])


# --- PNG --------------------------------------------------------------------------------------------------


@given(masks())
def test_png_round_trip_with_one_bit_per_pixel(mask):
    data = mask_to_png(mask)
    assert same(png_to_mask(data), mask)
    assert struct.unpack(">IIBB", data[16:26]) == (mask.shape[1], mask.shape[0], 1, 0)  # 1 bit, grey


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def test_masks_from_pngs_that_others_wrote():
    grey = np.uint8(SMALL) * 255
    colour = np.zeros((2, 3, 4), np.uint8)
    colour[SMALL] = [0, 90, 0, 255]
    faint_edge = colour.copy()
    faint_edge[0, 1] = [0, 90, 0, 100]
    black_on_nothing = colour * np.uint8([0, 0, 0, 1])
    opaque = colour.copy()
    opaque[..., 3] = 255
    sources = [
        grey,
        np.uint8(SMALL),
        np.uint16(SMALL) * 300,
        colour[..., :3],
        colour,
        faint_edge,
        black_on_nothing,
        opaque,
    ]
    for source in sources:
        assert same(png_to_mask(png(source)), SMALL)
    assert png_to_mask(png(np.full((2, 2, 4), 255, np.uint8))).all()
    assert not png_to_mask(png(np.zeros((2, 2, 4), np.uint8))).any()
    with pytest.raises(InputError):
        png_to_mask(b"no image")


# --- Label Studio -----------------------------------------------------------------------------------------


@given(masks())
def test_brush_rle_round_trip(mask):
    rle = mask_to_brush_rle(mask)
    assert set(map(type, rle)) == {int}
    assert min(rle) >= 0
    assert max(rle) <= 255
    assert same(brush_rle_to_mask(rle, *mask.shape), mask)


def test_brush_rle_of_a_large_mask_and_half_transparent_edges():
    mask = disk(300, 400, 200, 150, 120)
    assert same(brush_rle_to_mask(mask_to_brush_rle(mask), 300, 400), mask)
    from label_studio_sdk.converter.brush import encode_rle

    alpha = np.array([0, 127, 128, 255], np.uint8)
    pixels = np.stack([np.full(4, 9, np.uint8)] * 3 + [alpha], axis=1)  # [4, RGBA]
    assert brush_rle_to_mask(encode_rle(pixels.ravel()), 1, 4).tolist() == [[False, False, True, True]]


def test_bad_brush_rle_is_refused():
    rle = mask_to_brush_rle(disk(20, 30, 15, 10, 8))
    with pytest.raises(InputError, match="21 × 30"):
        brush_rle_to_mask(rle, 21, 30)
    with pytest.raises(InputError, match="damaged"):
        brush_rle_to_mask(rle[: len(rle) // 2], 20, 30)
    for bad in ([], [1, 2], [255] * 10):
        with pytest.raises(InputError, match="bad brush RLE"):
            brush_rle_to_mask(bad, 20, 30)
    with pytest.raises(InputError, match="bad brush RLE"):
        brush_rle_to_mask([*rle[:-1], 999], 20, 30)


# --- the strategy itself ----------------------------------------------------------------------------------


def test_the_strategy_reaches_every_kind_of_mask():
    seen: Counter[str] = Counter()

    @settings(max_examples=600, database=None, derandomize=True)
    @given(masks())
    def look(mask):
        _, parts = ndimage.label(mask)
        _, touching = ndimage.label(mask, np.ones((3, 3)))
        outside = np.pad(mask, 1)
        seen["empty"] += not mask.any()
        seen["full"] += bool(mask.all())
        seen["one pixel"] += mask.sum() == 1
        seen["one row"] += mask.shape[0] > 1 and mask.sum() == mask.any(axis=0).sum() == mask.shape[1] > 1
        seen["hole"] += bool((ndimage.binary_fill_holes(outside) & ~outside).any())
        seen["parts"] += parts > 1
        seen["diagonal touch"] += touching < parts

    look()
    assert min(seen.values()) >= 5, seen
    assert len(seen) == 7
    assert cv2.connectedComponents(np.uint8(checkerboard(4, 4)), connectivity=4)[0] == 9
