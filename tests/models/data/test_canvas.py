"""Pictures under construction, against direct index computations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely import box

from models.data.canvas import Canvas, CanvasObject, Window, place, warp_part
from toolkit.blending import PlacedMask


def warp_mask(mask: np.ndarray, window: Window) -> np.ndarray:
    """A whole photo's mask as a window shows it."""
    return warp_part(PlacedMask(0, 0, mask), *mask.shape, window)


def numbered(height: int, width: int) -> np.ndarray:
    """Pixels that say where they come from: (row, column, 7)."""
    rows, columns = np.indices((height, width))
    return np.stack([rows, columns, np.full_like(rows, 7)], axis=2).astype(np.uint8)


def test_occlusion_takes_pixels_from_all_objects() -> None:
    masks = [np.zeros((6, 8), bool) for _ in range(3)]
    masks[0][1:5, 1:5], masks[1][3:6, 3:8], masks[2][0, 0] = True, True, True
    canvas = Canvas(numbered(6, 8), [CanvasObject(m, i, float(m.sum())) for i, m in enumerate(masks)])
    patch = np.array([[True, False, True], [True, True, True]])
    canvas.occlude(patch, top=3, left=3)  # pixels (3, 3), (3, 5), (4, 3), (4, 4), (4, 5)
    assert [o.mask.sum() for o in canvas.objects] == [16 - 3, 15 - 5, 1]
    assert canvas.objects[0].mask[3, 4]
    assert not canvas.objects[1].mask[4, 3:6].any()
    assert [o.visible for o in canvas.objects] == pytest.approx([13 / 16, 10 / 15, 1])


def test_an_object_of_no_pixels_is_not_visible() -> None:
    assert CanvasObject(np.zeros((3, 3), bool), 0, 0.0).visible == 0


@pytest.mark.parametrize("horizontal", [True, False])
def test_flip_mirrors_pixels_and_masks(horizontal: bool) -> None:
    mask = np.zeros((4, 6), bool)
    mask[0, 1] = True
    canvas = Canvas(numbered(4, 6), [CanvasObject(mask, 0, 1.0)])
    canvas.flip(horizontal)
    row, column = (0, 4) if horizontal else (3, 1)
    assert np.argwhere(canvas.objects[0].mask).tolist() == [[row, column]]
    assert canvas.image[row, column].tolist() == [0, 1, 7]


@pytest.mark.parametrize(("quarters", "at"), [(0, (0, 1)), (1, (3, 0)), (2, (4, 3)), (3, (1, 4))])
def test_rotate_turns_counter_clockwise(quarters: int, at: tuple[int, int]) -> None:
    mask = np.zeros((5, 5), bool)
    mask[0, 1] = True
    canvas = Canvas(numbered(5, 5), [CanvasObject(mask, 0, 1.0)])
    canvas.rotate(quarters)
    assert np.argwhere(canvas.objects[0].mask).tolist() == [list(at)]
    assert canvas.image[at].tolist() == [0, 1, 7]


def test_a_changed_canvas_can_still_be_occluded() -> None:
    canvas = Canvas(numbered(4, 4), [CanvasObject(np.ones((4, 4), bool), 0, 16.0)])
    canvas.flip(horizontal=True)
    canvas.rotate(1)
    canvas.occlude(np.ones((2, 3), bool), 0, 0)
    assert np.argwhere(~canvas.objects[0].mask).tolist() == [[r, c] for r in range(2) for c in range(3)]


@given(left=st.integers(-30, 30), top=st.integers(-30, 30), size=st.integers(1, 24))
def test_at_scale_one_the_window_copies_pixels(left: int, top: int, size: int) -> None:
    photo = numbered(13, 17)
    target = np.full((size, size, 3), 99, np.uint8)
    place(photo, target, Window(1.0, left, top, size))
    mask = np.zeros((13, 17), bool)
    mask[2:9, 5:16] = True
    warped = warp_mask(mask, Window(1.0, left, top, size))
    for row in range(size):
        for column in range(size):
            y, x = row + top, column + left
            inside = 0 <= y < 13 and 0 <= x < 17
            assert target[row, column].tolist() == ([y, x, 7] if inside else [99, 99, 99])
            assert warped[row, column] == (inside and bool(mask[y, x]))


def test_placed_by_hand() -> None:
    # a crop of 20 px at scale 2 shows 10 photo pixels: columns 3–13 of 12, rows -4–6 of 9
    rows, columns, to_rows, to_columns = Window(2.0, 3, -4, 20).placed(9, 12)
    assert (rows, columns) == (slice(0, 6), slice(3, 12))
    assert (to_rows, to_columns) == (slice(8, 20), slice(0, 18))
    # a quarter of a pixel further: the first column is shown in part
    _, columns, _, to_columns = Window(2.0, 3.25, -4, 20).placed(9, 12)
    assert (columns, to_columns) == (slice(3, 12), slice(0, 18))  # -0.5 and 17.5 round to even
    # at scale 1/2, 20 px show 40 photo pixels
    assert Window(0.5, -10, 0, 20).placed(30, 30) == (slice(0, 30), slice(0, 30), slice(0, 15), slice(5, 20))


@given(
    scale=st.floats(0.25, 3),
    left=st.floats(-60, 90),
    top=st.floats(-60, 90),
    size=st.sampled_from([24, 32, 48]),
    x=st.integers(0, 60),
    y=st.integers(0, 40),
    width=st.integers(4, 40),
    height=st.integers(4, 40),
)
def test_masks_cover_the_right_part_at_any_scale(
    scale: float, left: float, top: float, size: int, x: int, y: int, width: int, height: int
) -> None:
    mask = np.zeros((70, 90), bool)
    mask[y : y + height, x : x + width] = True
    warped = warp_mask(mask, Window(scale, left, top, size))
    # the object's box in canvas pixels, within the crop and within the photo
    x2, y2 = min(x + width, 90), min(y + height, 70)
    exact = box((x - left) * scale, (y - top) * scale, (x2 - left) * scale, (y2 - top) * scale)
    seen = exact.intersection(box(0, 0, size, size))
    # the crop's ends are rounded to whole photo and canvas pixels, so every side may be off by up to a pixel
    slack = max(scale, 1.0)
    grown = exact.buffer(slack, join_style="mitre").intersection(box(0, 0, size, size)).area
    shrunk = exact.buffer(-slack, join_style="mitre").intersection(box(0, 0, size, size)).area
    assert shrunk - 1e-6 <= warped.sum() <= grown + 1e-6
    if seen.is_empty:
        assert warped.sum() <= grown


def test_a_part_is_warped_by_hand() -> None:
    # rows 4–6 and columns 6–10 of a photo of 20 × 30, in a window from row 2 and column -4 on
    part = PlacedMask(6, 4, np.ones((2, 4), bool))
    doubled = warp_part(part, 20, 30, Window(2.0, -4, 2, 32))
    assert PlacedMask.from_full(doubled).box == (20, 4, 28, 8)
    assert doubled.sum() == 4 * 8
    halved = warp_part(part, 20, 30, Window(0.5, -4, 2, 8))
    assert np.argwhere(halved).tolist() == [[1, 5], [1, 6]]
    assert not warp_part(part, 20, 30, Window(1.0, 10, 0, 8)).any()
    assert not warp_part(PlacedMask(0, 0, np.zeros((0, 0), bool)), 20, 30, Window(1.0, 0, 0, 8)).any()


@given(
    scale=st.floats(0.25, 3),
    left=st.floats(-40, 80),
    top=st.floats(-40, 60),
    seed=st.integers(0, 1 << 30),
)
def test_a_part_is_warped_as_the_whole_mask_is(scale: float, left: float, top: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y1, y2 = np.sort(rng.choice(71, 2, replace=False))
    x1, x2 = np.sort(rng.choice(91, 2, replace=False))
    mask = np.zeros((70, 90), bool)
    mask[y1:y2, x1:x2] = rng.random((y2 - y1, x2 - x1)) < 0.7
    window = Window(scale, left, top, 40)
    warped = warp_part(PlacedMask.from_full(mask), 70, 90, window)
    # the positions are rounded to 1/32 pixel relative to the part: single cells on the very edge may differ
    assert (warped != warp_mask(mask, window)).mean() <= 0.005


def test_a_window_beside_the_photo_shows_nothing() -> None:
    for left, top in ((50, 0), (-50, 0), (0, 50), (0, -50)):
        target = np.full((20, 20), 9, np.uint8)
        place(np.full((30, 30), 200, np.uint8), target, Window(1.0, left, top, 20))
        assert (target == 9).all()


@pytest.mark.parametrize("scale", [0.3, 0.7, 1.9])
def test_pixels_keep_their_place_at_other_scales(scale: float) -> None:
    photo = np.zeros((100, 120, 3), np.uint8)
    rows, columns = np.indices((100, 120))
    photo[..., 0], photo[..., 1] = 2 * rows, 2 * columns  # smooth, so that resampling hardly changes it
    target = np.zeros((32, 32, 3), np.uint8)
    window = Window(scale, 5.4, 3.7, 32)
    place(photo, target, window)
    at = (np.arange(32) + 0.5) / scale - 0.5  # photo pixels from the crop's corner
    inside = (at + 5.4 < 119) & (at + 3.7 < 99) & (at > 1)
    tolerance = 2 * (1 + 0.6 / scale)  # twice a pixel of the photo, and half a pixel of the canvas
    assert abs(target[inside, 16, 0] - 2 * (at + 3.7)[inside]).max() <= tolerance
    assert abs(target[16, inside, 1] - 2 * (at + 5.4)[inside]).max() <= tolerance
