"""Scenes whose weights hold a mask refiner."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from models.ids import SelectionConfig
from models.one_click.finder import EncodedImage
from models.refiner import RefinerConfig
from models.refiner.model import Refined
from models.scene import PhotoScene
from models.view import PhotoView, SelectionModels
from tests.models.test_scene import EASY, ScriptedFinder, found
from toolkit.clicks import Click


class HalvingRefiner:
    """Leaves of every mask its left half; counts the crops it saw."""

    def __init__(self) -> None:
        self.config = RefinerConfig(crop=32)
        self.device = torch.device("cpu")
        self.crops = 0

    def __call__(self, pixels: Tensor, prior: Tensor, clicks: Tensor) -> Refined:
        self.crops += len(pixels)
        logits = prior[:, 0, ::2, ::2].clone()
        logits[:, :, 8:] = -5
        return Refined(logits, torch.zeros(len(pixels)))


def refined_scene(refiner: HalvingRefiner, config: SelectionConfig = EASY) -> PhotoScene:
    """A photo of 8 × 8 pixels, seen twice as large, in which every click finds the whole of it."""
    parts = SelectionModels(ScriptedFinder(found(np.ones((4, 4)))), None, None, config, refiner)  # type: ignore[arg-type]
    encoded = EncodedImage([torch.zeros(1, 4, 4)], torch.zeros(8, 4, 4), [], 16, 16)
    view = PhotoView(parts, torch.zeros(3, 16, 16, dtype=torch.uint8), encoded, 2.0)
    return PhotoScene(parts, [view], (8, 8))


def test_masks_are_refined_once() -> None:
    refiner = HalvingRefiner()
    scene = refined_scene(refiner)
    click = Click(1.5, 4)
    answers = [scene.segment([click]), *scene.segment_each([click]), *scene.select_similar(click)]
    for answer in answers:
        assert answer is not None
        assert answer.mask[:, :3].all()
        assert not answer.mask[:, 5:].any()
        assert answer.score == pytest.approx(0.5 * 0.5)  # a quality of 0 before the sigmoid
    assert refiner.crops == 1
    assert scene.nbytes > refined_scene(refiner).nbytes


def test_masks_are_as_found_where_refining_is_off() -> None:
    refiner = HalvingRefiner()
    answer = refined_scene(refiner, replace(EASY, refine=False)).segment([Click(1.5, 4)])
    assert answer is not None
    assert answer.mask.all()
    assert refiner.crops == 0


def test_a_further_click_corrects_the_refined_mask() -> None:
    scene = refined_scene(HalvingRefiner())
    answer = scene.segment([Click(1.5, 4), Click(6.5, 4)])  # the half that the first one lost
    assert answer is not None
    assert answer.mask[4, 1]
    assert answer.mask[4, 6]
