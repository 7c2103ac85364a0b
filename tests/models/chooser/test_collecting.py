"""Lessons of a split: collected photo by photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.chooser.collecting import collect, lessons_of
from models.chooser.lessons import lesson_of, read_lessons
from models.selector import Selector
from tests.helpers.networks import save_selector
from tests.helpers.systems import box_mask, object_of, write_objects
from toolkit.clicks import center_click
from toolkit.errors import InputError
from toolkit.split import read_split


@pytest.fixture(scope="module")
def selector(tmp_path_factory: pytest.TempPathFactory) -> Selector:
    return Selector.load(
        save_selector(tmp_path_factory.mktemp("selector")), device="cpu", working_sizes=(64, 128)
    )


def test_collected_lessons(selector: Selector, tmp_path: Path) -> None:
    shape = (96, 96)
    first = [object_of(box_mask(8, 8, 32, 32, shape)), object_of(box_mask(50, 50, 40, 40, shape))]
    write_objects(tmp_path / "split", [first, [object_of(box_mask(20, 20, 40, 40, shape))], []])
    split = read_split(tmp_path / "split")
    assert collect(split, selector, tmp_path / "out") == 2  # photos without objects teach nothing
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


def test_a_stopped_run_goes_on(selector: Selector, tmp_path: Path) -> None:
    shape = (96, 96)
    write_objects(tmp_path / "split", [[object_of(box_mask(8, 8, 32, 32, shape))] for _ in range(3)])
    split = read_split(tmp_path / "split")
    collect(split, selector, tmp_path / "out", limit=1)
    (done,) = (tmp_path / "out").iterdir()
    before = done.stat().st_mtime_ns
    assert collect(split, selector, tmp_path / "out") == 3
    assert done.stat().st_mtime_ns == before
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_a_split_without_objects(selector: Selector, tmp_path: Path) -> None:
    write_objects(tmp_path / "split", [[]])
    with pytest.raises(InputError, match="no object"):
        collect(read_split(tmp_path / "split"), selector, tmp_path / "out")
