"""Training of the compact extractor: its losses by hand, its samples by seed, and that it learns."""

import numpy as np
import pytest
import torch

from synth.regions.extractor import RegionExtractor
from synth.regions.labels import GROUND, UNKNOWN, WALL
from synth.regions.training import CompactConfig, RegionsTask, class_weights, map_losses, random_crop
from tests.helpers.scenes import write_photos
from toolkit.errors import InputError
from toolkit.split import read_split
from toolkit.training import Schedule, fit

TINY = CompactConfig(
    width=32,
    heads=2,
    queries=8,
    encoder_layers=1,
    decoder_layers=2,
    backbone=(16, 24, 32, 32),
    depths=(1, 1, 1, 1),
    side=64,
)


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path / "photos", count=4, own=0)


def test_losses_of_a_perfect_and_a_wrong_map():
    classes = torch.full((1, 8, 8), 1, dtype=torch.uint8)
    classes[:, :4] = 3
    classes[:, :, 6:] = UNKNOWN
    votes = torch.full((1, 2, 8), -20.0)
    votes[0, 0, 1] = votes[0, 1, 3] = 20.0  # query 0 is class 1, query 1 class 3
    masks = torch.full((1, 2, 8, 8), -20.0)
    masks[0, 0, 4:], masks[0, 1, :4] = 20.0, 20.0
    weights = torch.ones(7)
    entropy, dice = map_losses(votes, masks, classes, weights)
    assert entropy == pytest.approx(0, abs=2e-3)
    assert dice == pytest.approx(0, abs=2e-3)
    swapped = map_losses(votes, masks.flip(2), classes, weights)
    assert swapped[0] > 5
    assert swapped[1] > 0.9
    # what lies under unknown pixels makes no difference
    masks[:, :, :, 6:] = 0.0
    again = map_losses(votes, masks, classes, weights)
    assert torch.allclose(torch.stack(again), torch.stack((entropy, dice)))


def test_nothing_known_is_no_loss():
    classes = torch.full((1, 4, 4), UNKNOWN, dtype=torch.uint8)
    entropy, dice = map_losses(torch.zeros(1, 2, 8), torch.zeros(1, 2, 4, 4), classes, torch.ones(7))
    assert entropy == 0
    assert dice == 0


def test_rare_classes_weigh_more(photos):
    weights = class_weights(read_split(photos))
    assert weights[WALL] > weights[GROUND]
    assert weights.max() <= 3
    assert weights.min() >= 0.5


def test_crops_keep_photo_and_labels_together():
    regions = (np.arange(40 * 60).reshape(40, 60) // 600).astype(np.uint8)
    image = np.repeat(regions[..., None] * 50, 3, axis=2)
    for seed in range(20):
        crop, labels = random_crop(image, regions, 16, np.random.default_rng(seed))
        assert crop.shape == (16, 16, 3)
        assert np.mean(np.abs(crop[..., 0].astype(int) - labels.astype(int) * 50) <= 25) > 0.75


def test_samples_depend_on_seed_and_index_only(photos):
    first, second = (RegionsTask(str(photos), None, TINY, 32, seed=3) for _ in range(2))
    for index in (7, 2, 9):
        for one, other in zip(first.sample(index), second.sample(index), strict=True):
            assert np.array_equal(one, other)
    assert not np.array_equal(
        first.sample(7)[0], RegionsTask(str(photos), None, TINY, 32, seed=4).sample(7)[0]
    )


def test_without_maps_there_is_nothing_to_learn(tmp_path):
    with pytest.raises(InputError, match="no photo has a map"):
        RegionsTask(str(write_photos(tmp_path / "photos", regions=False)), None, TINY)


@pytest.mark.slow
def test_it_learns_and_the_weights_load(photos, tmp_path):
    task = RegionsTask(str(photos), str(photos), TINY, 48)
    assert task.evaluate(task.model)["accuracy"] < 0.6
    schedule = Schedule(steps=150, batch_size=4, lr=3e-3, warmup_steps=5, workers=0, clip_grad_norm=1.0)
    result = fit(task, schedule, tmp_path / "run", resume=False)
    assert result["scores"]["accuracy"] > 0.8
    extractor = RegionExtractor.load(result["final"], "cpu")
    assert extractor.unmapped == []
    split = read_split(photos)
    record = split.images[0]
    found = extractor.extract([split.open_image(record)])[0]
    assert (found[100:, 20:60] == GROUND).mean() > 0.8
