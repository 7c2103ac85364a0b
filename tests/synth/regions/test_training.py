"""Training of the compact extractor: its losses by hand, its samples by seed, and that it learns."""

import numpy as np
import pytest
import torch

from synth.regions.crops import EXCEPT
from synth.regions.extractor import RegionExtractor
from synth.regions.labels import GROUND, UNKNOWN
from synth.regions.training import DEVIATION, MEAN, RegionsTask, map_losses, normalise
from tests.helpers.regions import TINY
from tests.helpers.scenes import write_photos
from toolkit.errors import InputError
from toolkit.split import read_split
from toolkit.training import Schedule, fit


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


def test_a_pixel_that_may_not_be_of_a_class_speaks_against_it_alone():
    """Two queries give every pixel 0.8 of class 6 and 0.2 of class 1, of masks that are full."""
    votes = torch.full((1, 1, 8), -40.0)
    votes[0, 0, 6], votes[0, 0, 1] = np.log(0.8), np.log(0.2)
    masks = torch.full((1, 1, 4, 4), 40.0)
    weights = torch.tensor([1.0, 1, 1, 1, 1, 1, 2])
    entropy, dice = map_losses(votes, masks, torch.full((1, 4, 4), EXCEPT + 6, dtype=torch.uint8), weights)
    assert entropy == pytest.approx(-np.log(0.2), abs=5e-3)
    assert dice == 0  # no class is present
    classes = torch.full((1, 4, 4), 6, dtype=torch.uint8)
    classes[:, :2] = EXCEPT + 6
    entropy, dice = map_losses(votes, masks, classes, weights)
    assert entropy == pytest.approx(-(np.log(0.2) + np.log(0.8)) / 2, abs=5e-3)
    # overlap 8 * 0.8; found 16 * 0.8; true 8; one added above and below
    assert dice == pytest.approx(1 - (2 * 6.4 + 1) / (12.8 + 8 + 1), abs=5e-3)


def test_pixels_are_normalised_as_the_processor_does():
    from synth.regions.training import make_processor

    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    theirs = make_processor(TINY)(images=[image], return_tensors="pt")["pixel_values"]
    assert torch.allclose(normalise(torch.from_numpy(image)[None]), theirs, atol=1e-5)
    assert len(MEAN) == len(DEVIATION) == 3


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
    schedule = Schedule(steps=300, batch_size=4, lr=3e-3, warmup_steps=5, workers=0, clip_grad_norm=1.0)
    result = fit(task, schedule, tmp_path / "run", resume=False)
    assert result["scores"]["accuracy"] > 0.8
    extractor = RegionExtractor.load(result["final"], "cpu")
    assert extractor.unmapped == []
    split = read_split(photos)
    record = split.images[0]
    found = extractor.extract([split.open_image(record)])[0]
    assert (found[100:, 20:60] == GROUND).mean() > 0.8
