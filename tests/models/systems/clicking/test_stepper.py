"""What a network is shown, and what becomes of its answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from models.systems.clicking.config import ClickConfig
from models.systems.clicking.crops import Crop
from models.systems.clicking.network import ClickNetwork
from models.systems.clicking.state import ClickState
from models.systems.clicking.stepper import ZoomStepper
from tests.helpers.clicking import tiny_ritm
from tests.helpers.systems import box_mask
from toolkit.clicks import Click


class RedNetwork(ClickNetwork):
    """Selects red pixels, and remembers what it was shown."""

    def __init__(self, **settings) -> None:
        super().__init__(ClickConfig(**settings))
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.seen: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, image: Tensor, points: Tensor, previous: Tensor) -> Tensor:
        self.seen.append((image, points, previous))
        return (image[:, :1].float() - 128) / 10


def photo(height: int, width: int, mask: np.ndarray) -> np.ndarray:
    image = np.full((height, width, 3), 90, np.uint8)
    image[mask] = (250, 0, 0)
    return image


def test_the_first_click_sees_the_whole_photo_later_ones_a_crop() -> None:
    mask = box_mask(300, 200, 60, 40, (400, 600))
    network = RedNetwork(first_size=300, input_size=100)
    stepper = ZoomStepper(network)
    image = photo(400, 600, mask)
    (state,) = stepper.first(image, [Click(330, 220)])
    shown, points, previous = network.seen[0]
    assert shown.shape == (1, 3, 224, 320)  # 200 × 300, padded to multiples of 32
    assert points.tolist() == [[[165, 110, 1]]]
    assert not previous.any()
    assert (shown[0, :, 210, 310] == torch.tensor([124, 116, 104])).all()  # the mean colour
    assert state.crop == Crop(0, 0, 400, 600)
    assert state.probability.shape == (200, 300)
    assert np.array_equal(state.mask(400, 600), mask)
    assert state.box() == (300, 200, 360, 240)
    assert state.score() == pytest.approx(1 / (1 + np.exp(-12.2)), rel=1e-4)

    later = stepper.following(image, [Click(330, 220), Click(10, 10, positive=False)], state)
    shown, points, previous = network.seen[1]
    assert later.crop == Crop(120, 230, 200, 200)  # at least 200 px around (330, 220)
    assert shown.shape == (1, 3, 128, 128)
    assert points.tolist() == [[[50, 50, 1], [-110, -55, 0]]]
    # the mask before, at half of the photo's pixels: rows 40…60, columns 35…65
    assert ((previous[0, 0] > 0.5).nonzero().amin(0) == torch.tensor([40, 35])).all()
    assert ((previous[0, 0] > 0.5).nonzero().amax(0) == torch.tensor([59, 64])).all()
    assert np.array_equal(later.mask(400, 600), mask)


def test_square_networks_always_see_squares() -> None:
    mask = box_mask(60, 40, 20, 10, (90, 160))
    network = RedNetwork(square=True, input_size=64, zoom_in=False)
    stepper = ZoomStepper(network)
    image = photo(90, 160, mask)
    (state,) = stepper.first(image, [Click(70, 45)])
    state = stepper.following(image, [Click(70, 45), Click(71, 45)], state)
    assert [shown.shape for shown, _, _ in network.seen] == [(1, 3, 64, 64)] * 2
    assert state.crop == Crop(0, 0, 90, 160)  # without zoom-in


def test_first_clicks_share_passes() -> None:
    network = RedNetwork()
    image = photo(64, 64, box_mask(8, 8, 12, 12, (64, 64)))
    clicks = [Click(x + 0.5, 10.5) for x in range(10)]
    states = ZoomStepper(network).first(image, clicks)
    assert [len(shown) for shown, _, _ in network.seen] == [8, 2]
    assert len(states) == 10
    assert network.seen[1][1][:, 0, 0].tolist() == [8.5, 9.5]
    single = ZoomStepper(tiny_ritm()).first(image, [clicks[3]])[0].probability
    batch = ZoomStepper(tiny_ritm()).first(image, clicks)[3].probability
    assert batch == pytest.approx(single, abs=1e-5)


def test_a_state_without_a_mask() -> None:
    state = ClickState(Crop(0, 0, 8, 8), np.zeros((4, 4), np.float32), 0.5, {"kept": torch.zeros(3)})
    assert state.box() is None
    assert state.score() == 0
    assert state.nbytes == 64 + 12
    assert not state.mask(8, 8).any()
