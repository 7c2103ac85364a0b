"""Crops of photos: where they lie, what they show, and that their answers land in the photo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.ids import SelectionConfig
from models.one_click.found_object import FoundObject
from models.placed_object import PlacedObject
from models.scene import PhotoScene
from models.selector import Selector
from models.zoom_in import CROP, Crop, cut, look_closer, plan_crops, small_ones, smallest_side, zoom_scale
from tests.helpers.networks import save_selector
from toolkit.clicks import Click


@pytest.mark.parametrize(
    ("side", "finest", "expected"),
    [
        (48, 0.25, 2.0),  # 12 pixels in the view; 128 / 48 = 2.67, rounded down to a half octave
        (20, 0.25, 4.0),  # 128 / 20 is more than the largest scale
        (80, 0.25, 2**0.5),  # 128 / 80 = 1.6
        (150, 0.25, 0.5**0.5),  # 128 / 150 = 0.85
        (192, 0.25, None),  # 48 pixels in the view: not small
        (130, 0.4, None),  # 52 pixels in the view
        (95, 0.5, 1.0),  # 128 / 95 = 1.35, rounded down to 1
        (92, 0.52, None),  # 128 / 92 = 1.39, rounded down to 1: 1.92 times the view's scale
        (105, 0.35, 1.0),  # 128 / 105 = 1.22
        (29, 1.6, 4.0),  # 2.5 times the view's scale
        (31, 1.6, None),  # 49.6 pixels in the view
        (20, 2.0, 4.0),  # a crop that gains as much as it must
        (20, 2.1, None),  # 1.9 times the view's scale: not worth it
        (0, 0.25, None),
    ],
)
def test_the_scale_of_a_crop(side: float, finest: float, expected: float | None) -> None:
    found = zoom_scale(side, finest)
    assert found == (None if expected is None else pytest.approx(expected))


def test_a_crop_for_siblings_is_enlarged_less() -> None:
    assert zoom_scale(20, 0.25, 2.0) == 2.0
    assert zoom_scale(29, 1.6, 2.0) is None  # 1.25 times the view's scale


def test_only_small_things_of_a_crop_count() -> None:
    items = [rectangle(6, 3, 0.5), rectangle(5, 3, 0.5)]  # longer sides 48 and 40 pixels of the photo
    assert small_ones(items, 1.0) == items[1:]
    assert small_ones(items, 0.99) == items


def rectangle(height: int, width: int, score: float) -> PlacedObject:
    """Cells of 4 pixels of a copy half as large as the photo."""
    found = FoundObject(np.full((height, width), 30.0, np.float32), 0, 0, score, ((0.0, 0.0),))
    return PlacedObject(found, 0.5)


def test_the_smallest_likely_object_counts() -> None:
    large, small = rectangle(10, 5, 0.8), rectangle(1, 2, 0.7)  # longer sides 80 and 16; votes score⁴
    assert smallest_side([large]) == 80
    assert smallest_side([large, small]) == 16
    assert smallest_side([large, replace_score(small, 0.4)]) == 80  # (0.4 / 0.8)⁴ = 0.06 of the best
    assert smallest_side([]) == 0


def replace_score(item: PlacedObject, score: float) -> PlacedObject:
    return replace(item, found=replace(item.found, score=score))


def test_near_clicks_of_one_scale_share_a_crop() -> None:
    points = [
        (1000.0, 700.0),
        (1050.0, 700.0),
        (1070.0, 700.0),
        (1000.0, 750.0),
        (50.0, 700.0),
        (1010.0, 700.0),
    ]
    scales = [1.0, 1.0, 1.0, None, 1.0, 2.0]
    crops = plan_crops(points, scales, 3000, 4000)
    # the first lies in the middle (872 + 128 = 1000); 1050 within the inner half (to 1064), 1070 beyond;
    # 50 - 128 < 0 starts at the photo's border; at scale 2 the point is (2020, 1400)
    assert crops == [
        Crop(872, 572, 1.0, (0, 1)),
        Crop(940, 572, 1.0, (2,)),
        Crop(0, 572, 1.0, (4,)),
        Crop(1892, 1272, 2.0, (5,)),
    ]
    assert all(crop.left % 4 == 0 and crop.top % 4 == 0 for crop in crops)


def test_a_crop_stays_in_the_photo() -> None:
    (crop,) = plan_crops([(3999.0, 2999.0)], [1.0], 3000, 4000)
    assert (crop.left, crop.top) == (3744, 2744)  # 4000 - 256, 3000 - 256
    (whole,) = plan_crops([(50.0, 50.0)], [1.0], 100, 200)  # a photo smaller than a crop
    assert (whole.left, whole.top) == (0, 0)


def test_a_crop_at_the_photos_own_scale_is_a_slice(rng: np.random.Generator) -> None:
    photo = rng.integers(0, 256, (600, 700, 3)).astype(np.uint8)
    pixels, rows, columns = cut(photo, Crop(100, 200, 1.0, ()), (1, 2, 3))
    assert (rows, columns) == (CROP, CROP)
    np.testing.assert_array_equal(pixels, photo[200:456, 100:356])


def test_beyond_the_photo_lies_the_mean_colour(rng: np.random.Generator) -> None:
    photo = rng.integers(10, 256, (100, 200, 3)).astype(np.uint8)
    pixels, rows, columns = cut(photo, Crop(0, 0, 1.0, ()), (1.2, 2, 3))
    assert (rows, columns) == (100, 200)
    np.testing.assert_array_equal(pixels[:100, :200], photo)
    assert (pixels[100:] == (1, 2, 3)).all()
    assert (pixels[:, 200:] == (1, 2, 3)).all()


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_a_ramp_keeps_its_place_at_any_scale(scale: float) -> None:
    # each pixel's value is the place of its centre: x + 0.5, halved to fit into a byte
    ramp = np.broadcast_to(((np.arange(500) + 0.5) / 2)[None, :, None], (400, 500, 3))
    photo = np.round(ramp).astype(np.uint8)
    pixels, _, _ = cut(photo, Crop(40, 40, scale, ()), (0, 0, 0))
    columns = (np.arange(20, 150) + 40 + 0.5) / scale / 2
    np.testing.assert_allclose(pixels[128, 20:150, 0], columns, atol=1.01)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_selector(tmp_path_factory.mktemp("selector"))


@pytest.fixture(scope="module")
def large() -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.kron(rng.integers(0, 256, (40, 64, 3)), np.ones((16, 16, 1))).astype(np.uint8)  # 640 × 1024


def test_answers_of_a_crop_lie_where_the_crop_does(folder: Path, large: np.ndarray) -> None:
    selector = Selector.load(folder, device="cpu", working_sizes=(128,))
    finder = selector.models.finder
    points = [(500.0, 300.0), (520.0, 310.0), (40.0, 600.0)]
    found = look_closer(finder, large, points, [1.0, 1.0, None])
    assert found[2] == []
    assert all(found[:2])
    # The same crop as a photo of its own gives the same masks, moved by the crop's corner.
    left, top = 372, 172  # 500 - 128 and 300 - 128, multiples of 4
    plainly = Selector(selector.models, (CROP,)).with_selection(zoom_in=False)
    alone = plainly.encode(large[top : top + CROP, left : left + CROP].copy())
    for point, items in zip(points[:2], found[:2], strict=True):
        own = alone._proposals.remembered([[Click(point[0] - left, point[1] - top)]])[0]
        assert len(own) == len(items)
        for a, b in zip(items, own, strict=True):
            whole = a.found.mask(640, 1024, a.scale)
            part = b.found.mask(CROP, CROP, 1.0)
            np.testing.assert_array_equal(whole[top : top + CROP, left : left + CROP], part)
            assert whole.sum() == part.sum()
            assert a.found.clicks == (point,)


def test_the_photo_is_kept_for_crops(folder: Path, large: np.ndarray) -> None:
    selector = Selector.load(folder, device="cpu", working_sizes=(128,))
    scene = selector.encode(large)
    assert scene.photo is not None
    assert scene.nbytes > large.nbytes
    np.testing.assert_array_equal(scene.photo, large)
    small = large[:64, :96]  # its copy is twice as large, a crop four times
    np.testing.assert_array_equal(selector.encode(small).photo, small)


def small_thing(scene: PhotoScene) -> Click:
    """A click for which the views propose something small."""
    for y in range(20, 620, 40):
        for x in range(20, 1000, 40):
            click = Click(float(x), float(y))
            if len(scene._proposals.remembered([[click]])[0]) > len(
                plain(scene)._proposals.remembered([[click]])[0]
            ):
                return click
    raise LookupError("no click on anything small")


def plain(scene: PhotoScene) -> PhotoScene:
    return PhotoScene(scene._models, scene.views, (scene.height, scene.width))


def test_zoom_in_is_an_option_and_selections_keep_the_clicked_object(folder: Path, large: np.ndarray) -> None:
    config = SelectionConfig(similarity=0.0, confidence=0.0, rounds=2, clicks_per_round=4)
    selector = Selector.load(folder, device="cpu", working_sizes=(64,), config=config)
    scene = selector.encode(large)
    click = small_thing(scene)
    off = selector.with_selection(zoom_in=False)
    assert off.fingerprint != selector.fingerprint
    without = off.encode(large)._proposals.remembered([[click]])[0]
    assert {item.scale for item in without} == {64 / 1024}
    several = scene._proposals.remembered([[click]])[0]
    assert {item.scale for item in several} > {64 / 1024}
    selection = scene.select_similar(click)
    one = scene.segment([click])
    assert one is not None
    np.testing.assert_array_equal(selection[0].mask, one.mask)
    for index, a in enumerate(selection):
        for b in selection[index + 1 :]:
            smaller = min(a.mask.sum(), b.mask.sum())
            assert (a.mask & b.mask).sum() <= 0.75 * smaller  # 0.5 on the cells of the masks
    again = selector.scene_from_arrays(selector.scene_arrays(scene))
    assert again.photo is not None
    np.testing.assert_array_equal(again.photo, large)


def test_crops_of_siblings_keep_off_negative_clicks(folder: Path, large: np.ndarray) -> None:
    config = SelectionConfig(similarity=0.0, confidence=0.0, rounds=2, clicks_per_round=4)
    scene = Selector.load(folder, device="cpu", working_sizes=(64,), config=config).encode(large)
    clicks = [small_thing(scene)]
    views = plain(scene)._proposals.remembered([clicks])[0][:1]
    (closer,) = scene._proposals.closer(clicks, [views[0].side])
    held = [c for item in closer for c in [Click(*middle(item))] if item.holds(c.x, c.y)]
    for negative in held:
        (answer,) = scene._looked_closer(clicks, views, [negative])
        assert answer is views[0] or not answer.holds(negative.x, negative.y)
    (free,) = scene._looked_closer(clicks, views, [])
    assert any(free.holds(negative.x, negative.y) for negative in held)


def middle(item: PlacedObject) -> tuple[float, float]:
    x1, y1, x2, y2 = item.box
    return (x1 + x2) / 2, (y1 + y2) / 2
