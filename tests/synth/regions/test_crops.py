"""Training crops: which photos come how often, and that pixels and labels stay together."""

import cv2
import numpy as np
import pytest

from synth.regions.crops import (
    EXCEPT,
    PhotoChooser,
    class_weights,
    random_crop,
    training_sample,
)
from synth.regions.labels import GROUND, OTHER, RIVER, SKY, UNKNOWN, WALL
from tests.helpers.scenes import write_photos
from toolkit.split import SplitWriter, read_split


@pytest.fixture
def photos(tmp_path):
    return read_split(write_photos(tmp_path / "photos", count=4, own=0))


def write_maps(root, maps):
    with SplitWriter(root) as writer:
        for number, regions in enumerate(maps):
            image = np.full((*regions.shape, 3), 20 * (number + 1), np.uint8)
            writer.add_image(image, file_name=f"{number}.png", regions=regions)
    return read_split(root)


def test_rare_classes_weigh_more(photos):
    chooser = PhotoChooser(photos, 0.0, 0)
    weights = class_weights(chooser.shares)
    assert weights[WALL] > weights[GROUND]
    assert weights.max() <= 3
    assert weights.min() >= 0.5
    # Four fifths and one fifth of what is known: one by their roots is √1.25 and √5, their weighted mean
    # 0.8 √1.25 + 0.2 √5 = 1.342 becomes 1, but for what the five absent classes add to it.
    shares = np.array([[0.64, 0.16, 0, 0, 0, 0, 0]])
    assert class_weights(shares)[:2] == pytest.approx([1.118 / 1.342, 2.236 / 1.342], abs=1e-2)


def test_every_photo_comes_once_before_any_comes_again(photos):
    chooser = PhotoChooser(photos, 0.0, 0)
    drawn = [chooser.choose(index, np.random.default_rng(index)) for index in range(12)]
    assert {wanted for _, wanted in drawn} == {None}
    for epoch in range(3):
        assert sorted(place for place, _ in drawn[4 * epoch : 4 * epoch + 4]) == [0, 1, 2, 3]


def test_balanced_choices_draw_each_class_as_often(tmp_path):
    common, rare = np.full((20, 20), GROUND, np.uint8), np.full((20, 20), SKY, np.uint8)
    chooser = PhotoChooser(write_maps(tmp_path / "s", [common] * 9 + [rare]), 1.0, 0)
    drawn = [chooser.choose(index, np.random.default_rng(index)) for index in range(1000)]
    # 500 expected, standard deviation 16
    assert 420 < sum(wanted == SKY for _, wanted in drawn) < 580
    assert all((place == 9) == (wanted == SKY) for place, wanted in drawn)


def test_crops_keep_photo_and_labels_together():
    regions = (np.arange(40 * 60).reshape(40, 60) // 600).astype(np.uint8)
    image = np.repeat(regions[..., None] * 50, 3, axis=2)
    for seed in range(20):
        crop, labels = random_crop(image, regions, 16, np.random.default_rng(seed))
        assert crop.shape == (16, 16, 3)
        assert np.mean(np.abs(crop[..., 0].astype(int) - labels.astype(int) * 50) <= 25) > 0.75


def test_a_crop_holds_the_class_that_it_was_chosen_for():
    regions = np.full((90, 120), GROUND, np.uint8)
    cv2.circle(regions, (100, 12), 6, WALL, -1)
    image = np.zeros((90, 120, 3), np.uint8)
    with_it = [
        (random_crop(image, regions, 48, np.random.default_rng(seed), WALL)[1] == WALL).any()
        for seed in range(60)
    ]
    without = [
        (random_crop(image, regions, 48, np.random.default_rng(seed))[1] == WALL).any() for seed in range(60)
    ]
    # The turn may push a pixel at the very edge out.
    assert np.mean(with_it) > 0.9
    assert np.mean(without) < 0.8


def test_where_one_region_alone_is_labelled_the_rest_is_anything_but_it(tmp_path):
    water = np.full((40, 40), UNKNOWN, np.uint8)
    water[20:] = RIVER
    both = water.copy()
    both[:10] = SKY
    things = np.full((40, 40), UNKNOWN, np.uint8)
    things[:30] = OTHER
    split = write_maps(tmp_path / "s", [water, both, things])
    chooser = PhotoChooser(split, 0.0, 0)
    assert chooser.only.tolist() == [RIVER, -1, -1]
    for index in range(12):
        crop, labels = training_sample(split, chooser, 32, index)
        place, _ = chooser.choose(index, np.random.default_rng([0, index, 1]))
        assert set(np.unique(labels)) <= (
            {RIVER, EXCEPT + RIVER} if place == 0 else {RIVER, SKY, OTHER, UNKNOWN}
        )
        assert crop.dtype == np.uint8
