from __future__ import annotations

import numpy as np
import torch

from tests.helpers.systems import KnowingSystem, box_mask, object_of, write_objects
from toolkit.clicks import Click
from toolkit.evaluation.costs import measure_costs
from toolkit.selection import Instance


class ConvolvingSystem:
    """Encodes with one convolution of 3 × 3, answers each click with one matrix product."""

    name = "convolving"
    parameters = 27

    def encode(self, image: np.ndarray):
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
        torch.nn.functional.conv2d(pixels, torch.zeros(1, 3, 3, 3), padding=1)
        return self

    def segment(self, clicks: list[Click]) -> Instance | None:
        with torch.inference_mode():
            torch.nn.functional.linear(torch.zeros(len(clicks), 5), torch.zeros(7, 5))
        return None

    def segment_each(self, clicks: list[Click]) -> list[Instance | None]:
        return [None for _ in clicks]


def test_the_first_click_pays_for_the_encoding() -> None:
    costs = measure_costs(ConvolvingSystem(), np.zeros((20, 30, 3), np.uint8), box_mask(5, 5, 9, 9, (20, 30)))
    assert costs["parameters"] == 27
    assert costs["flops_first"] == 2 * 20 * 30 * 27 + 2 * 1 * 5 * 7
    assert costs["flops_later"] == 2 * 2 * 5 * 7


def test_a_system_without_networks(tmp_path) -> None:
    mask = box_mask(5, 5, 9, 9, (20, 30))
    split = write_objects(tmp_path / "split", [[object_of(mask)]])
    image = split.open_image(split.images[0])
    assert measure_costs(KnowingSystem(split), image, mask) == {
        "parameters": None,
        "flops_first": None,
        "flops_later": None,
    }
