"""Scenes: the base network runs once per first click, and answers depend on the clicks alone."""

from __future__ import annotations

import numpy as np
import torch

from models.systems.clicking.scene import InteractiveScene
from models.systems.emc_click.network import EmcClickNetwork
from models.systems.emc_click.stepper import EmcClickStepper
from tests.helpers.emc_click import random_emc_click
from toolkit.clicks import Click

PHOTO = np.random.default_rng(3).integers(0, 256, (80, 120, 3), dtype=np.uint8)
CLICKS = [Click(40.5, 30.5), Click(90.5, 20.5, positive=False), Click(60.5, 60.5), Click(20.5, 70.5)]


class Counted:
    """How often each part of a network ran."""

    def __init__(self, network: EmcClickNetwork) -> None:
        self.base = self.correction = 0
        network.backbone.register_forward_hook(self._base)
        network.correction.register_forward_hook(self._correction)

    def _base(self, *_: object) -> None:
        self.base += 1

    def _correction(self, *_: object) -> None:
        self.correction += 1


def test_later_clicks_do_not_run_the_base_network() -> None:
    network = random_emc_click()
    counted = Counted(network)
    scene = InteractiveScene(PHOTO, EmcClickStepper(network))
    for count in range(1, 5):
        scene.segment(CLICKS[:count])
        assert (counted.base, counted.correction) == (1, count)
    scene.segment(CLICKS[2:])  # another first click
    assert (counted.base, counted.correction) == (2, 6)


def test_answers_depend_on_the_clicks_alone() -> None:
    network = random_emc_click()
    used, fresh = (InteractiveScene(PHOTO, EmcClickStepper(network)) for _ in range(2))
    for count in range(1, 5):
        used.segment(CLICKS[:count])
    used.segment([CLICKS[3]])
    for clicks in (CLICKS, CLICKS[:2]):
        one, other = used.segment(clicks), fresh.segment(clicks)
        assert one is not None
        assert other is not None
        assert (one.mask == other.mask).all()
        assert one.score == other.score
    assert (used.segment(CLICKS).mask != used.segment(CLICKS[:1]).mask).any()


def test_the_steps_are_those_of_equations_1_and_2() -> None:
    network = random_emc_click()
    stepper = EmcClickStepper(network)
    image = PHOTO[:64, :96]  # seen as it is: no resizing, no padding
    first = stepper.first(image, CLICKS[:1])[0]
    second = stepper.following(image, CLICKS[:2], first)
    pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
    points = torch.tensor([[[40.5, 30.5, 1.0], [90.5, 20.5, 0.0]]])
    with torch.no_grad():
        features, coarse = network.start(pixels, points[:, :1])
        m_1 = network.correct(pixels, points[:, :1], coarse.sigmoid(), features).sigmoid()
        m_2 = network.correct(pixels, points, m_1, features).sigmoid()
    np.testing.assert_allclose(first.probability, m_1[0, 0].numpy(), atol=1e-5)
    np.testing.assert_allclose(second.probability, m_2[0, 0].numpy(), atol=1e-5)


def test_first_clicks_share_a_pass_and_keep_their_own_features() -> None:
    network = random_emc_click()
    counted = Counted(network)
    stepper = EmcClickStepper(network)
    clicks = [CLICKS[0], CLICKS[2], CLICKS[3]]
    states = stepper.first(PHOTO, clicks)
    assert (counted.base, counted.correction) == (1, 1)
    for click, state in zip(clicks, states, strict=True):
        alone = stepper.first(PHOTO, [click])[0]
        np.testing.assert_allclose(state.probability, alone.probability, atol=1e-4)
        torch.testing.assert_close(state.kept["features"], alone.kept["features"], atol=1e-4, rtol=1e-4)
        assert state.kept["features"].untyped_storage().nbytes() == state.kept["features"].nbytes
