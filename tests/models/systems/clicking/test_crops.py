"""Where later clicks look: geometry by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.systems.clicking.crops import Crop, input_shape, next_crop, resample, scaled_clicks, zoomed_crop
from toolkit.clicks import Click


def test_a_crop_is_the_box_grown_by_1_4() -> None:
    # centre (500, 400), sides 300 × 200: 420 × 280
    crop = zoomed_crop((350, 300, 650, 500), [], 1000, 1200)
    assert crop == Crop(top=260, left=290, height=280, width=420)


def test_a_crop_has_at_least_200_pixels_and_stays_on_the_photo() -> None:
    assert zoomed_crop((500, 500, 510, 520), [], 1000, 1000) == Crop(410, 405, 200, 200)
    assert zoomed_crop((0, 0, 10, 10), [], 1000, 1000) == Crop(0, 0, 105, 105)
    assert zoomed_crop((0, 0, 10, 10), [], 90, 80) == Crop(0, 0, 90, 80)
    assert zoomed_crop(None, [Click(5, 5)], 90, 80) == Crop(0, 0, 90, 80)


def test_positive_clicks_belong_to_the_box() -> None:
    clicks = [Click(700.5, 350.5), Click(900.5, 950.5, positive=False)]
    # x 350…701, centre 525.5, side 351 · 1.4 = 491.4: 279.8…771.2
    assert zoomed_crop((350, 300, 650, 500), clicks, 1000, 1200) == Crop(260, 279, 280, 493)


def test_a_crop_stays_while_it_fits() -> None:
    last = Crop(100, 100, 200, 200)
    near, far = Crop(110, 110, 200, 200), Crop(200, 200, 200, 200)
    assert last.iou(near) == pytest.approx(190 * 190 / (2 * 200 * 200 - 190 * 190))
    assert last.iou(Crop(500, 500, 10, 10)) == 0
    inside, outside = Click(150, 150), Click(305, 150)
    assert next_crop(last, near, [inside]) == last
    assert next_crop(last, far, [inside]) == far
    assert next_crop(last, near, [inside, outside]) == near
    assert next_crop(last, near, [inside, Click(305, 150, positive=False)]) == last


@pytest.mark.parametrize(
    ("square", "enlarge", "expected"),
    [(False, True, (200, 400)), (False, False, (100, 200)), (True, False, (400, 400))],
)
def test_input_shapes(square: bool, enlarge: bool, expected: tuple[int, int]) -> None:
    assert input_shape(Crop(0, 0, 100, 200), 400, square, enlarge) == expected
    assert input_shape(Crop(0, 0, 1600, 800), 400, False, enlarge) == (400, 200)


def test_resampling_moves_values_where_they_lie() -> None:
    rows, columns = np.indices((20, 30)).astype(np.float32)
    plane = 2 * columns + 3 * rows  # linear: bilinear sampling is exact inside
    source, target = Crop(10, 20, 40, 60), Crop(20, 30, 10, 20)  # two photo pixels a cell
    found = resample(plane, source, target, (20, 20))
    # target pixel (r, c) is at photo y = 20 + (r + ½) / 2, so at row (y - 10) / 2 - ½ of the source
    r, c = np.indices((20, 20))
    y, x = (20 + (r + 0.5) / 2 - 10) / 2 - 0.5, (30 + (c + 0.5) - 20) / 2 - 0.5
    assert found == pytest.approx(2 * x + 3 * y, abs=0.05)  # OpenCV interpolates in steps of 1/32
    assert resample(plane, source, source, (20, 30)) is plane
    beside = resample(plane, source, Crop(10, 200, 40, 60), (20, 30))
    assert beside.shape == (20, 30)
    assert not beside.any()


def test_clicks_in_the_input() -> None:
    points = scaled_clicks([Click(30, 20), Click(70, 60, positive=False)], Crop(10, 20, 100, 100), (50, 200))
    assert points.tolist() == [[20, 5, 1], [100, 25, 0]]
    assert scaled_clicks([], Crop(0, 0, 9, 9), (9, 9)).shape == (0, 3)
