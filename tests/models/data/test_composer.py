"""Composed pictures: deterministic, consistent, within their bounds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.data.canvas import Canvas
from models.data.composer import FIRST_PASTED_GROUP, Composer, ComposerConfig, log_uniform
from models.data.paste import cut_donors, paste_group
from models.data.photometric import jitter_colours
from models.data.pool import PhotoPool
from tests.helpers.pictures import COLOURS, write_group_split
from tests.helpers.systems import box_mask, object_of, write_objects
from toolkit.split import read_split

PLAIN = ComposerConfig(paste_probability=0.0, colour_strength=0.0, flip_vertical=0.0)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> PhotoPool:
    return PhotoPool(read_split(write_group_split(tmp_path_factory.mktemp("photos"))))


def compose(pool: PhotoPool, config: ComposerConfig, seed: int, size: int = 64) -> Canvas:
    return Composer(pool, config).compose(np.random.default_rng(seed), size)


def test_the_same_generator_gives_the_same_picture(pool: PhotoPool) -> None:
    for seed in range(5):
        one, other = (compose(pool, ComposerConfig(), seed) for _ in range(2))
        assert np.array_equal(one.image, other.image)
        assert len(one.objects) == len(other.objects)
        for a, b in zip(one.objects, other.objects, strict=True):
            assert np.array_equal(a.mask, b.mask)
            assert (a.group, a.whole) == (b.group, b.whole)
    assert not np.array_equal(
        compose(pool, ComposerConfig(), 0).image, compose(pool, ComposerConfig(), 1).image
    )


def test_what_every_picture_holds(pool: PhotoPool) -> None:
    pasted = 0
    for seed in range(25):
        canvas = compose(pool, ComposerConfig(largest=60), seed)
        assert canvas.image.shape == (64, 64, 3)
        assert canvas.image.dtype == np.uint8
        covered = np.zeros((64, 64), int)
        for item in canvas.objects:
            assert item.mask.shape == (64, 64)
            assert item.mask.dtype == bool
            assert (
                item.mask.sum() <= 1.2 * item.whole + 4
            )  # never more than there was, but for the resampling
            covered += item.mask
        assert covered.max(initial=0) <= 1  # disjoint, as in the photos
        pasted += sum(item.group >= FIRST_PASTED_GROUP for item in canvas.objects)
    assert pasted > 20


def test_masks_lie_on_their_colours(pool: PhotoPool) -> None:
    """Nothing but geometry changed, so an object's pixels have its colour."""
    looked = 0
    for seed in range(10):
        canvas = compose(pool, replace(PLAIN, flip_vertical=0.5), seed)
        for item in canvas.objects:
            if item.mask.sum() < 40:
                continue
            colour = np.median(canvas.image[item.mask], axis=0)
            assert min(np.abs(np.array(c) - colour).max() for c in COLOURS) <= 12
            looked += 1
    assert looked > 10


def test_the_subject_has_the_wanted_size(pool: PhotoPool, monkeypatch: pytest.MonkeyPatch) -> None:
    # subjects of 18 px scaled to 40–50 px; 96 px photos are larger than the crop then
    config = replace(PLAIN, smallest=40, largest=50, scale_limits=(0.1, 10))
    composer = Composer(pool, config)
    scales = []
    crop = composer._show
    monkeypatch.setattr(
        composer,
        "_show",
        lambda canvas, index, window, rng: scales.append(window.scale) or crop(canvas, index, window, rng),
    )
    for seed in range(20):
        composer.compose(np.random.default_rng(seed), 64)
    assert len(scales) == 20  # no photo behind the photo
    sizes = {round(o.size) for objects in pool.objects for o in objects}
    assert min(scales) >= 40 / max(sizes) - 1e-6
    assert max(scales) <= 50 / min(sizes) + 1e-6


def test_scale_limits_and_cover(pool: PhotoPool, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(PLAIN, smallest=1, largest=1.01, scale_limits=(0.2, 3), smallest_cover=0.7)
    windows = []
    composer = Composer(pool, config)
    show = composer._show
    monkeypatch.setattr(
        composer,
        "_show",
        lambda canvas, index, window, rng: windows.append(window) or show(canvas, index, window, rng),
    )
    for seed in range(10):
        composer.compose(np.random.default_rng(seed), 64)
    assert len(windows) == 20  # the photo covers 0.7 of the crop, so each time another one lies behind it
    for behind, front in zip(windows[::2], windows[1::2], strict=True):
        assert front.scale == pytest.approx(0.7 * 64 / 96)
        assert front.left <= 0
        assert front.top <= 0
        assert 64 / 96 <= behind.scale <= 1.5 * 64 / 96


def test_photos_behind_each_other_share_no_group(tmp_path: Path) -> None:
    """Each photo's group is numbered 1 in its own file."""
    photos = [[object_of(box_mask(40 + 8 * i, 60, 30, 30), group_id=1)] for i in range(2)]
    pool = PhotoPool(write_objects(tmp_path, photos))
    config = replace(PLAIN, smallest=8, largest=10, smallest_cover=0.5)
    seen = set()
    for seed in range(40):
        canvas = compose(pool, config, seed)
        groups = [item.group for item in canvas.objects if item.mask.any()]
        seen.add(len(set(groups)))
        assert set(groups) <= {0, 1}
    assert 2 in seen


def test_the_number_of_decoded_objects_is_limited(pool: PhotoPool) -> None:
    whole = replace(PLAIN, smallest=12, largest=12.1, smallest_cover=1.0, scale_limits=(0.01, 1))
    counts = {len(compose(pool, replace(whole, objects=limit), 3).objects) for limit in (2,)}
    assert counts == {2}
    assert len(compose(pool, whole, 3).objects) > 2


def test_paste_group_takes_what_it_covers(pool: PhotoPool, rng: np.random.Generator) -> None:
    canvas = compose(pool, PLAIN, 0, size=96)
    before = [item.mask.copy() for item in canvas.objects]
    paste_group(canvas, pool, rng, FIRST_PASTED_GROUP + 3, copies=6, size=24)
    siblings = canvas.objects[len(before) :]
    assert 1 <= len(siblings) <= 6
    assert {s.group for s in siblings} == {FIRST_PASTED_GROUP + 3}
    pasted = np.any([s.mask for s in siblings], axis=0)
    for old, item in zip(before, canvas.objects, strict=False):
        assert np.array_equal(item.mask, old & ~pasted)
    for index, sibling in enumerate(siblings):
        assert not any((sibling.mask & other.mask).any() for other in siblings[:index])
        rows, columns = np.flatnonzero(sibling.mask.any(1)), np.flatnonzero(sibling.mask.any(0))
        side = max(np.ptp(rows), np.ptp(columns)) + 1
        assert side <= 24 * 1.2 * 2**0.5 + 2  # 1.2 times larger, turned by 45° at worst


def larger_side(mask: np.ndarray) -> int:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(max(np.ptp(rows), np.ptp(columns))) + 1


def test_a_donor_has_the_size_asked_for(pool: PhotoPool) -> None:
    for seed in range(8):
        donors = cut_donors(pool, np.random.default_rng(seed), 30.0)
        assert donors is not None
        assert len(donors.cutouts) == 1
        assert larger_side(donors.cutouts[0].mask) == pytest.approx(30, abs=2)


def test_tiny_donors_are_not_enlarged_to_smears(tmp_path: Path, rng: np.random.Generator) -> None:
    small = PhotoPool(write_objects(tmp_path / "a", [[object_of(box_mask(50, 50, 7, 7))]]))
    assert cut_donors(small, rng, 40.0) is None
    fair = PhotoPool(write_objects(tmp_path / "b", [[object_of(box_mask(50, 50, 10, 10))]]))
    donors = cut_donors(fair, rng, 200.0)
    assert donors is not None
    assert abs(larger_side(donors.cutouts[0].mask) - 25) <= 1  # 2.5 times at most


def test_mixed_donors_are_members_of_one_group(tmp_path: Path) -> None:
    sides, tall = [20, 30, 100], box_mask(120, 100, 20, 60)
    group = [object_of(box_mask(5 + 40 * i, 5, side, side), group_id=1) for i, side in enumerate(sides)]
    photo = [*group, object_of(tall, group_id=2), object_of(box_mask(5, 120, 20, 20))]
    pool = PhotoPool(write_objects(tmp_path, [photo]))
    seen = set()
    for seed in range(40):
        donors = cut_donors(pool, np.random.default_rng(seed), 24.0, most=3)
        assert donors is not None
        assert donors.photo == 0
        seen.add(tuple(sorted(larger_side(cutout.mask) for cutout in donors.cutouts)))
    # relative to the one drawn first (24), no less than half and no more than twice as large
    assert {tuple(round(side / 4) for side in sizes) for sizes in seen} == {
        (6, 9, 12), (4, 6, 12), (3, 3, 6), (6,)
    }  # fmt: skip


def test_a_pasted_group_is_complete_and_says_where_it_is_from(pool: PhotoPool) -> None:
    canvas = Canvas(np.zeros((96, 96, 3), np.uint8))
    paste_group(canvas, pool, np.random.default_rng(1), FIRST_PASTED_GROUP, copies=4, size=20, mixed=True)
    assert canvas.objects
    photo = canvas.objects[0].photo
    kinds = {item.annotation.category_id for item in pool.objects[photo]}
    for item in canvas.objects:
        assert item.complete
        assert item.photo == photo
        assert item.kind in kinds


def test_groups_of_photos_that_label_everything_are_complete(tmp_path: Path) -> None:
    photo = [object_of(box_mask(5 + 40 * i, 5, 30, 30), group_id=1) for i in range(3)]
    pool = PhotoPool(write_objects(tmp_path, [photo]))
    whole = replace(PLAIN, smallest_cover=1.0, scale_limits=(0.4, 0.4), exhaustive=(pool.records[0].source,))
    items = compose(pool, whole, 0).objects
    assert {(item.complete, item.photo, item.group) for item in items} == {(True, 0, 0)}
    for other in (replace(whole, exhaustive=("coco",)), replace(whole, objects=1)):
        assert not any(item.complete for item in compose(pool, other, 0).objects)


def test_log_uniform_halves_are_alike(rng: np.random.Generator) -> None:
    drawn = np.array([log_uniform(rng, 10, 1000) for _ in range(3000)])
    assert drawn.min() >= 10
    assert drawn.max() <= 1000
    assert (drawn < 100).mean() == pytest.approx(0.5, abs=0.03)
    assert log_uniform(rng, 50, 20) == pytest.approx(50)  # a range turned round is its low end


def test_jitter_changes_colours_only_as_far_as_asked() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    assert jitter_colours(image, np.random.default_rng(1), strength=0) is image
    copy = image.copy()
    changed = [jitter_colours(image, np.random.default_rng(seed)) for seed in range(12)]
    assert np.array_equal(image, copy)
    for picture in changed:
        assert picture.shape == image.shape
        assert picture.dtype == np.uint8
        assert not np.array_equal(picture, image)
    assert np.array_equal(changed[3], jitter_colours(image, np.random.default_rng(3)))
    weak, strong = (
        np.mean(
            [
                np.abs(jitter_colours(image, np.random.default_rng(s), strength).astype(int) - image).mean()
                for s in range(12)
            ]
        )
        for strength in (0.2, 1.0)
    )
    assert weak < strong
