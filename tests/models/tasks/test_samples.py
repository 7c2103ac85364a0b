"""The stream of training pictures."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from models.recipes.schema import DataSettings, ScheduleSettings
from models.tasks.samples import PictureStream
from toolkit.errors import InputError


def stream(photos: Path, seed: int = 0, **data) -> PictureStream:
    schedule = ScheduleSettings(steps=10, batch_size=4, lr=0.1, seed=seed)
    return PictureStream(DataSettings(train=photos, **data), schedule)


def test_the_crop_size_changes_between_batches_only(photos: Path) -> None:
    crops = [{"size": 64, "until": 0.25}, {"size": 96, "until": 0.7}, {"size": 128, "until": 1.0}]
    sizes = [stream(photos, crops=crops).crop_size(index) for index in range(44)]
    # batches start at 0, 0.1, 0.2, … of the run: three below 0.25, four below 0.7, and all that follow
    assert sizes == [64] * 12 + [96] * 16 + [128] * 16


def test_a_picture_depends_on_seed_and_index_only(photos: Path) -> None:
    first = stream(photos, crops=[{"size": 64, "until": 1}])
    images = {index: first.picture(index)[0].image for index in (0, 1, 7)}
    again = stream(photos, crops=[{"size": 64, "until": 1}])
    for index in (7, 0, 1):
        canvas, rng = again.picture(index)
        assert np.array_equal(canvas.image, images[index])
        other_rng = first.picture(index)[1]
        assert rng.integers(1 << 40) == other_rng.integers(1 << 40)
    assert not np.array_equal(images[0], images[1])
    other_seed = stream(photos, seed=1, crops=[{"size": 64, "until": 1}])
    assert not np.array_equal(other_seed.picture(0)[0].image, images[0])


def test_a_stream_travels_to_workers_without_its_photos(photos: Path) -> None:
    here = stream(photos, crops=[{"size": 64, "until": 1}])
    expected = here.picture(3)[0].image
    there = pickle.loads(pickle.dumps(here))  # noqa: S301 - its own bytes
    assert there._composer is None
    assert len(pickle.dumps(here)) < 3000
    assert np.array_equal(there.picture(3)[0].image, expected)


def test_a_recipe_without_photos() -> None:
    with pytest.raises(InputError, match=r"data\.train: no split to train on; add --set data\.train=FOLDER"):
        PictureStream(DataSettings(), ScheduleSettings(steps=1, batch_size=1, lr=0.1))
