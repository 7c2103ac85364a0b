"""Lessons of a split: collected photo by photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.chooser.collecting import ChoiceCollector, lessons_of
from models.chooser.lessons import lesson_of, read_lessons
from models.collecting import Collection, collect
from models.selector import Selector
from tests.helpers.networks import save_selector
from tests.helpers.systems import box_mask, object_of, write_objects
from toolkit.clicks import center_click
from toolkit.split import read_split

SIZES = (64, 128)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_selector(tmp_path_factory.mktemp("selector")))


@pytest.fixture(scope="module")
def selector(weights: str) -> Selector:
    return Selector.load(weights, device="cpu", working_sizes=SIZES)


def test_collected_lessons(selector: Selector, weights: str, tmp_path: Path) -> None:
    shape = (96, 96)
    first = [object_of(box_mask(8, 8, 32, 32, shape)), object_of(box_mask(50, 50, 40, 40, shape))]
    write_objects(tmp_path / "split", [first, [object_of(box_mask(20, 20, 40, 40, shape))], []])
    split = read_split(tmp_path / "split")
    job = Collection(ChoiceCollector(), split.root, tmp_path / "out", weights, "cpu", SIZES)
    assert collect(job) == 2  # photos without objects teach nothing
    files = sorted((tmp_path / "out").iterdir())
    assert len(files) == 2
    lessons = read_lessons(tmp_path / "out")
    assert 1 <= len(lessons) <= 3
    # they are made of what is proposed for a click in the middle of each object
    scene = selector.encode(split.open_image(split.images[1]))
    mask = split.annotations_of(split.images[1].id)[0].mask(*shape)
    expected = lesson_of(scene.proposals([center_click(mask)])[0], mask)
    with np.load(tmp_path / "out" / f"{split.images[1].id}.npz") as arrays:
        np.testing.assert_allclose(arrays["features"], expected.features, rtol=1e-4, atol=1e-5)
        assert np.array_equal(arrays["truth"], [expected.truth])
        assert arrays["counts"].tolist() == [len(expected.beyond)]


def test_inexact_clicks(selector: Selector, tmp_path: Path) -> None:
    photo = [object_of(box_mask(20, 20, 60, 60, (96, 96)))]
    write_objects(tmp_path / "split", [photo])
    split = read_split(tmp_path / "split")
    lessons = [
        lessons_of(split, split.images[0], selector, jitter, seed)
        for jitter, seed in ((0.0, 0), (0.0, 1), (0.6, 0), (0.6, 0), (0.6, 1))
    ]
    features = [[lesson.features.tolist() for lesson in own] for own in lessons]
    assert features[0] == features[1]  # in the middle
    assert features[2] == features[3] != features[0]
    assert features[4] != features[2]
    assert all(one.truth.max() == 255 for own in lessons for one in own)
