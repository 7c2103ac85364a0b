"""Which view siblings are sought in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from models.encoding import encode_view
from models.selector import Selector
from models.sibling_views import SiblingViews
from models.view import PhotoView
from tests.helpers.networks import save_selector


@pytest.fixture(scope="module")
def selector(tmp_path_factory: pytest.TempPathFactory) -> Selector:
    return Selector.load(save_selector(tmp_path_factory.mktemp("selector")), device="cpu")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (96, 256, 3)).astype(np.uint8)


@pytest.fixture
def views(selector: Selector, photo: np.ndarray) -> list[PhotoView]:
    return [encode_view(selector.models, photo, scale) for scale in (0.25, 0.5, 1.0)]


@pytest.mark.parametrize(
    ("side", "scale"),
    # between 1 and 0.5 the border lies at 64 · sqrt(2) = 90.5 pixels
    [(0.5, 1), (24, 1), (64, 1), (90, 1), (91, 0.5), (128, 0.5), (181, 0.5), (182, 0.25), (1000, 0.25)],
)
def test_the_view_nearest_to_64_pixels(
    selector: Selector, views: list[PhotoView], side: float, scale: float
) -> None:
    assert SiblingViews(selector.models, views, None).nearest(side, zoom_in=True).scale == scale


def test_a_finer_view_for_what_the_finest_shows_too_small(
    selector: Selector, views: list[PhotoView], photo: np.ndarray
) -> None:
    siblings = SiblingViews(selector.models, views, photo)
    assert siblings.nearest(24, zoom_in=True) is views[2]
    assert siblings.nearest(23.9, zoom_in=False) is views[2]
    assert siblings.nbytes == 0
    with ThreadPoolExecutor(3) as threads:
        first, *others = threads.map(lambda side: siblings.nearest(side, zoom_in=True), (23.9, 10, 1))
    assert all(other is first for other in others)  # it is encoded once
    assert first.scale == 2
    expected = encode_view(selector.models, photo, 2.0)
    assert expected.image.shape == (3, 192, 512)
    for mine, own in zip(first.encoded.pyramid, expected.encoded.pyramid, strict=True):
        torch.testing.assert_close(mine, own)
    assert siblings.nbytes == first.nbytes > views[2].nbytes


def test_scenes_use_and_weigh_the_finer_view(selector: Selector) -> None:
    small = Selector(selector.models, (64,))
    scene = small.encode(np.random.default_rng(1).integers(0, 256, (320, 512, 3)).astype(np.uint8))
    before = scene.nbytes
    finer = scene._sibling_views.nearest(100, zoom_in=True)  # 12.5 pixels at 1/8
    assert finer.scale == 0.25
    assert scene.nbytes == before + finer.nbytes
    assert finer not in scene.views  # clicks do not look at it
