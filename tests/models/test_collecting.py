"""Lessons of a split: a file for each photo, from one process or several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.chooser.collecting import ChoiceCollector
from models.collecting import Collection, collect
from models.judge.lessons import SelectionCollector
from tests.helpers.networks import save_selector
from tests.helpers.systems import box_mask, object_of, write_objects
from toolkit.errors import InputError

SHAPE = (96, 96)


@pytest.fixture
def job(tmp_path: Path) -> Collection:
    photo = [object_of(box_mask(8, 8, 32, 32, SHAPE))]
    write_objects(tmp_path / "split", [photo, photo, [], photo])
    weights = save_selector(tmp_path / "weights")
    collector = ChoiceCollector(jitter=0.5)
    return Collection(collector, tmp_path / "split", tmp_path / "out", str(weights), "cpu", (64, 128))


def contents(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """The arrays of each file."""
    found = {}
    for path in folder.iterdir():
        with np.load(path) as arrays:
            found[path.name] = dict(arrays)
    return found


def test_a_stopped_collection_goes_on(job: Collection) -> None:
    assert collect(job, limit=1) == 1
    (done,) = job.out.iterdir()
    before = done.stat().st_mtime_ns
    assert collect(job) == 3  # the photo without objects teaches nothing
    assert done.stat().st_mtime_ns == before
    assert len(list(job.out.iterdir())) == 3
    assert collect(job) == 3  # nothing is left to do


def test_photos_are_drawn_by_the_seed(job: Collection) -> None:
    drawn = set()
    for seed in range(8):
        own = replace(job, out=job.out / str(seed))
        collect(own, limit=1, seed=seed)
        drawn.add(next(own.out.iterdir()).name)
    assert len(drawn) == 3


@pytest.mark.slow
def test_several_processes_write_what_one_writes(job: Collection) -> None:
    collect(job)
    shared = replace(job, out=job.out.with_name("shared"))
    assert collect(shared, workers=2) == 3
    one, other = contents(job.out), contents(shared.out)
    assert one.keys() == other.keys()
    for name, arrays in one.items():
        assert arrays.keys() == other[name].keys()
        for key, array in arrays.items():
            np.testing.assert_allclose(other[name][key], array, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_photo_that_cannot_be_read_ends_it(job: Collection) -> None:
    photos = sorted((job.split / "images").iterdir())
    photos[0].write_bytes(b"no photo")
    with pytest.raises(InputError, match=photos[0].name):
        collect(job, workers=2)


def test_what_a_split_lacks_is_named(job: Collection) -> None:
    with pytest.raises(InputError, match="group_id"):
        collect(replace(job, collector=SelectionCollector()))
    write_objects(job.split.with_name("empty"), [[]])
    with pytest.raises(InputError, match="empty: the split holds no object"):
        collect(replace(job, split=job.split.with_name("empty")))
