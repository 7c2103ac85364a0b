"""GrabCut, flood fill and random walker on drawn pictures."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

from models.loading import load_system
from models.systems.classical.seeds import pieces_with, seeds_of
from models.systems.table import CLASSICAL
from tests.helpers.masks import disk
from tests.helpers.systems import box_mask
from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.masks import mask_iou

HEIGHT, WIDTH = 120, 160


def drawing() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two red discs on noisy green, far from each other: the picture and both masks."""
    rng = np.random.default_rng(0)
    image = np.array([60, 140, 70]) + rng.integers(-8, 9, (HEIGHT, WIDTH, 3))
    left, right = disk(HEIGHT, WIDTH, 45, 60, 18), disk(HEIGHT, WIDTH, 125, 60, 14)
    image[left | right] = np.array([200, 50, 40]) + rng.integers(-8, 9, (int((left | right).sum()), 3))
    return image.astype(np.uint8), left, right


@pytest.mark.parametrize("name", CLASSICAL)
def test_one_click_selects_one_disc(name: str) -> None:
    image, left, right = drawing()
    system = load_system(name)
    assert system.name == name
    scene = system.encode(image)
    found = scene.segment([Click(45, 60)])
    assert found is not None
    assert mask_iou(found.mask, left) > 0.85
    both = scene.segment_each([Click(45, 60), Click(125, 60)])
    assert both[0] is not None
    assert both[1] is not None
    assert np.array_equal(both[0].mask, found.mask)
    assert mask_iou(both[1].mask, right) > 0.8  # the flood stops a pixel before a soft edge


@pytest.mark.parametrize("name", CLASSICAL)
def test_clicks_add_and_take_away(name: str) -> None:
    image, left, right = drawing()
    image[:, 78:82] = (60, 60, 200)  # a blue bar
    scene = load_system(name).encode(image)
    clicks = [Click(45, 60), Click(125, 60)]
    joint = scene.segment(clicks)
    assert joint is not None
    assert mask_iou(joint.mask, left | right) > 0.8
    cut = scene.segment([*clicks, Click(80, 60, positive=False)])
    assert cut is not None
    assert not cut.mask[60, 80]
    assert cut.mask[60, 45]
    assert cut.mask[60, 125]
    again = load_system(name).encode(image).segment(clicks)
    assert again is not None
    assert np.array_equal(again.mask, joint.mask)  # the same clicks, the same mask


@pytest.mark.parametrize("name", CLASSICAL)
def test_odd_photos_do_not_break_them(name: str) -> None:
    system = load_system(name)
    for shape in ((1, 1), (3, 200), (40, 40)):
        scene = system.encode(np.full((*shape, 3), 128, np.uint8))
        found = scene.segment([Click(0.5, 0.5)])
        assert found is None or found.mask.shape == shape
        scene.segment([Click(0.5, 0.5), Click(shape[1] - 0.5, shape[0] - 0.5, positive=False)])
    large = np.repeat(np.repeat(drawing()[0], 6, axis=0), 6, axis=1)  # 720 × 960: a working copy
    found = system.encode(large).segment([Click(45 * 6, 60 * 6)])
    assert found is not None
    assert found.mask.shape == (720, 960)
    assert mask_iou(found.mask, np.kron(drawing()[1], np.ones((6, 6), bool))) > 0.8


def test_systems_with_other_settings_have_other_fingerprints() -> None:
    prints = {load_system(name).fingerprint for name in CLASSICAL}
    assert len(prints) == 3
    assert load_system("grabcut").fingerprint in prints
    assert "0x" not in repr(load_system("grabcut").stepper)  # no address: the same in every process


def test_a_missing_scikit_image_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *rest, **more):
        if name.startswith("skimage"):
            raise ImportError(name)
        return real(name, *rest, **more)

    scene = load_system("random-walker").encode(drawing()[0])
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(InputError, match=r"pip install 'declutter\[demo\]'"):
        scene.segment([Click(45, 60)])


def test_seeds_by_hand() -> None:
    clicks = [Click(20, 10), Click(22, 10, positive=False)]
    seeds = seeds_of(clicks, 20, 40, scale=0.5, radius=1.0, reach=0.1)
    # at (10, 5) and (11, 5) of the copy: a corner of four pixels each, the negative one takes two away
    assert [tuple(p) for p in np.argwhere(seeds.inside)] == [(4, 9), (5, 9)]
    assert [tuple(p) for p in np.argwhere(seeds.outside)] == [(4, 10), (4, 11), (5, 10), (5, 11)]
    # reach 4: from 6 to 14, from 1 to 9
    assert np.array_equal(seeds.window, box_mask(6, 1, 9, 9, (20, 40)))
    pieces = box_mask(0, 0, 3, 3, (20, 20)) | box_mask(10, 10, 3, 3, (20, 20))
    assert np.array_equal(
        pieces_with(pieces, box_mask(11, 11, 1, 1, (20, 20))), box_mask(10, 10, 3, 3, (20, 20))
    )
