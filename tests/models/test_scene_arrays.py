"""Encoded photos as arrays: what comes back selects the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from annotation.backend.disk_cache import DiskCache
from models.loading import BUNDLED
from models.selector import Selector
from tests.helpers.networks import save_selector
from toolkit.clicks import Click
from toolkit.masks import mask_iou


@pytest.fixture(scope="module")
def selector(tmp_path_factory: pytest.TempPathFactory) -> Selector:
    folder = save_selector(tmp_path_factory.mktemp("selector"))
    return Selector.load(folder, device="cpu", working_sizes=(64, 128))


@pytest.fixture
def photo(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (90, 120, 3)).astype(np.uint8)


@pytest.mark.parametrize("clicks", [True, False])  # without, the scene holds locations beside the maps
def test_arrays_hold_everything_in_half_precision(
    selector: Selector, photo: np.ndarray, clicks: bool
) -> None:
    selector = selector if clicks else selector.without_clicks()
    scene = selector.encode(photo)
    assert any(len(level.scores) for view in scene.views for level in view.encoded.free) is not clicks
    arrays = selector.scene_arrays(scene)
    assert {a.dtype for name, a in arrays.items() if "pyramid" in name} == {np.dtype(np.float16)}
    assert arrays["view0.image"].dtype == np.uint8
    numbers = [arrays["photo"]]
    numbers += [a for name, a in arrays.items() if name.startswith("view") and not name.endswith("inner")]
    halves = sum(a.nbytes for a in numbers if a.dtype == np.float16)
    whole = sum(a.nbytes for a in numbers if a.dtype != np.float16)  # pixels and indices stay as they are
    computed_again = [one for view in scene.views for one in view.encoded.first if one is not None]
    assert len(computed_again) == 2 * 3  # the coarse levels of two views
    computed_again += [view.encoded.drawable for view in scene.views]
    assert whole + 2 * halves + sum(one.nbytes for one in computed_again) == scene.nbytes
    assert halves > whole - scene.photo.nbytes
    again = selector.scene_from_arrays(arrays)
    assert (again.height, again.width, len(again.views)) == (90, 120, 2)
    for before, after in zip(scene.views, again.views, strict=True):
        assert after.scale == before.scale
        assert (after.encoded.height, after.encoded.width) == (before.encoded.height, before.encoded.width)
        assert bool((after.image == before.image).all())
        for p, q in zip(before.encoded.pyramid, after.encoded.pyramid, strict=True):
            assert q.dtype == p.dtype
            # float16 has 11 significant bits
            assert float((p - q).abs().max()) <= 2**-11 * float(p.abs().max())
        for p, q in zip(before.encoded.first, after.encoded.first, strict=True):
            assert (p is None) == (q is None)
            if p is not None and q is not None:
                torch.testing.assert_close(q, p, atol=0.01, rtol=0.01)
        for f, g in zip(before.encoded.free, after.encoded.free, strict=True):
            assert bool((f.rows == g.rows).all())
            assert g.kernels.shape == f.kernels.shape
    # What was rounded once is not rounded again.
    twice = selector.scene_arrays(again)
    assert twice.keys() == arrays.keys()
    assert all(np.array_equal(twice[name], arrays[name]) for name in arrays)


def test_a_prepared_scene_weighs_what_it_remembers(selector: Selector, photo: np.ndarray) -> None:
    scene, prepared = selector.encode(photo), selector.encode(photo)
    prepared.prepare()
    memories = sum(view._memory.nbytes for view in prepared.views)
    assert memories > 0
    assert prepared.nbytes == scene.nbytes + memories
    mine, theirs = (one.select_similar(Click(60, 50)) for one in (scene, prepared))
    assert len(mine) == len(theirs)
    assert scene.nbytes > selector.encode(photo).nbytes  # the click made it remember


def test_arrays_of_another_version_are_refused(selector: Selector, photo: np.ndarray) -> None:
    arrays = selector.scene_arrays(selector.encode(photo))
    with pytest.raises(ValueError, match="format 7, expected 3"):
        selector.scene_from_arrays({**arrays, "format": np.array(7)})
    del arrays["view1.mask_features"]
    with pytest.raises(KeyError, match="mask_features"):
        selector.scene_from_arrays(arrays)


def test_a_scene_from_the_disk_cache_selects_the_same_coins(tmp_path: Path) -> None:
    data = pytest.importorskip("skimage.data")
    if not (BUNDLED / "one-click").is_dir():
        pytest.skip("no bundled weights")
    coins = np.repeat(data.coins()[..., None], 3, axis=2)
    selector = Selector.load(device="cpu", working_sizes=(512,))
    scene = selector.encode(coins)
    cache = DiskCache(tmp_path / "cache", 1 << 30, selector)
    cache.put("coins", scene)
    again = cache.take("coins")
    assert again is not None
    mine, theirs = (one.select_similar(Click(36, 49)) for one in (scene, again))
    assert len(mine) >= 5
    assert len(mine) == len(theirs)
    ious = [mask_iou(a.mask, b.mask) for a, b in zip(mine, theirs, strict=True)]
    assert min(ious) > 0.97
    assert [a.score for a in mine] == pytest.approx([b.score for b in theirs], abs=0.01)
