"""Choices of a split: collected, kept, read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.chooser.collecting import Choice, collect, read_choices, write_choices
from models.chooser.features import FEATURES
from models.selector import Selector
from tests.helpers.networks import save_selector
from tests.helpers.systems import box_mask, object_of, write_objects
from toolkit.clicks import center_click
from toolkit.errors import InputError
from toolkit.masks import mask_iou
from toolkit.split import read_split


@pytest.fixture(scope="module")
def selector(tmp_path_factory: pytest.TempPathFactory) -> Selector:
    return Selector.load(
        save_selector(tmp_path_factory.mktemp("selector")), device="cpu", working_sizes=(64, 128)
    )


def test_collected_choices(selector: Selector, tmp_path: Path) -> None:
    shape = (96, 96)
    first = [object_of(box_mask(8, 8, 32, 32, shape)), object_of(box_mask(50, 50, 40, 40, shape))]
    write_objects(tmp_path / "split", [first, [object_of(box_mask(20, 20, 40, 40, shape))], []])
    split = read_split(tmp_path / "split")
    assert collect(split, selector, tmp_path / "out") == 2  # photos without objects teach nothing
    files = sorted((tmp_path / "out").iterdir())
    assert len(files) == 2
    choices = read_choices(tmp_path / "out")
    assert 1 <= len(choices) <= 3
    for choice in choices:
        assert choice.features.shape == (len(choice.ious), len(FEATURES))
        assert np.isfinite(choice.features).all()
        assert choice.ious.min() >= 0
        assert choice.ious.max() <= 1
    # the IoUs are those of the proposals with the object that was clicked
    scene = selector.encode(split.open_image(split.images[1]))
    mask = split.annotations_of(split.images[1].id)[0].mask(*shape)
    items = scene.proposals([center_click(mask)])[0]
    expected = [mask_iou(item.found.mask(*shape, item.scale), mask) for item in items]
    with np.load(tmp_path / "out" / f"{split.images[1].id}.npz") as arrays:
        np.testing.assert_allclose(arrays["ious"], expected, rtol=1e-6)


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


def test_written_and_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    choices = [
        Choice(rng.random((count, len(FEATURES))).astype(np.float32), rng.random(count).astype(np.float32))
        for count in (3, 1, 5)
    ]
    write_choices(tmp_path / "1.npz", choices)
    write_choices(tmp_path / "2.npz", [])
    again = read_choices(tmp_path)
    assert len(again) == 3
    for one, other in zip(choices, again, strict=True):
        assert np.array_equal(one.features, other.features)
        assert np.array_equal(one.ious, other.ious)


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="declutter models choices"):
        read_choices(tmp_path)
    np.savez(tmp_path / "1.npz", features=np.zeros((1, 3)), ious=np.zeros(1), counts=np.array([1]))
    with pytest.raises(InputError, match="3 features of a proposal, expected 32"):
        read_choices(tmp_path)


def test_a_split_without_objects(selector: Selector, tmp_path: Path) -> None:
    write_objects(tmp_path / "split", [[]])
    with pytest.raises(InputError, match="no object"):
        collect(read_split(tmp_path / "split"), selector, tmp_path / "out")
