from __future__ import annotations

import math

import pytest
import torch

from models.systems.icmformer_pp.config import IcmformerPPConfig
from models.systems.icmformer_pp.likeness import LikenessModule, activation, grown_boxes, responses

TINY = {
    "width": 8, "heads": 2, "likeness_channels": 4, "patch_side": 32,
    "likeness_settings": {"stem": 4, "widths": [4, 4, 6, 6], "depths": [1, 1, 1, 1]},
}  # fmt: skip


def test_responses_on_a_toy_map() -> None:
    """Two channels, a row of four cells; two 1×1 kernels."""
    features = torch.tensor([[[[1.0, 3.0, 1.0, 3.0]], [[0.0, 0.0, 4.0, 4.0]]]])  # [1, 2, 1, 4]
    kernels = torch.tensor([[[1.0, 0.0], [0.5, 1.0]]])  # [1, 2, 2]
    # raw: (1, 3, 1, 3), mean 2, deviation 1; (0.5, 1.5, 4.5, 5.5), mean 3, variance (6.25 + 2.25) / 2
    found = responses(features, kernels)
    root = math.sqrt(4.25)
    expected = [[-1.0, 1.0, -1.0, 1.0], [-2.5 / root, -1.5 / root, 1.5 / root, 2.5 / root]]
    torch.testing.assert_close(found[0, :, 0], torch.tensor(expected), atol=1e-4, rtol=1e-4)


def test_the_activation_is_the_strongest_response_that_counts() -> None:
    response = torch.tensor([[[[1.0, -2.0]], [[0.5, 3.0]], [[9.0, 9.0]]]])  # three kernels
    assert activation(response, torch.tensor([[True, True, False]])).tolist() == [[[[1.0, 3.0]]]]
    assert activation(response, torch.tensor([[False, True, False]])).tolist() == [[[[0.5, 3.0]]]]
    assert activation(response, torch.tensor([[False, False, False]])).tolist() == [[[[0.0, 0.0]]]]


def test_the_response_is_highest_where_the_exemplar_s_twin_is() -> None:
    """Features that tell three kinds of cells apart: the exemplar's cells find their twins, elsewhere."""
    kinds = torch.tensor([[0, 0, 1, 0], [2, 0, 0, 1]])
    features = torch.eye(3)[kinds].permute(2, 0, 1)[None]  # [1, 3, 2, 4], one-hot
    kernels = features[:, :, 0, 2][:, None]  # the cell of kind 1
    found = activation(responses(features, kernels), torch.ones(1, 1, dtype=torch.bool))
    assert (found == found.max())[0, 0].nonzero().tolist() == [[0, 2], [1, 3]]


def test_boxes_grow_around_their_centres_and_stay_in_the_photo() -> None:
    boxes = torch.tensor([[20.0, 10.0, 40.0, 20.0], [0.0, 0.0, 10.0, 50.0], [0.0, 0.0, 0.0, 0.0]])
    found = grown_boxes(boxes, 1.2, 50, 60)
    expected = [[18.0, 9.0, 42.0, 21.0], [0.0, 0.0, 11.0, 50.0], [0.0, 0.0, 1.0, 1.0]]
    torch.testing.assert_close(found, torch.tensor(expected))
    torch.testing.assert_close(grown_boxes(boxes[:1], 0.8, 50, 60), torch.tensor([[22.0, 11.0, 38.0, 19.0]]))


@pytest.mark.parametrize("masked", [True, False])
def test_kernels_come_from_three_boxes_and_count_on_the_mask(masked: bool) -> None:
    module = LikenessModule(IcmformerPPConfig(masked_kernels=masked, **TINY)).eval()
    mask = torch.zeros(2, 1, 64, 64)
    mask[0, 0, 0:40, 0:40] = 1  # fills its box
    mask[1, 0, 0:40, 0:20] = 1  # the left half of its box
    boxes = torch.tensor([[0.0, 0.0, 40.0, 40.0]] * 2)
    kernels, counted = module.kernels(torch.randn(2, 3, 64, 64), mask, boxes)
    assert kernels.shape == (2, 12, 4)  # three scales, 2 × 2 cells each
    if not masked:
        assert counted.all()
        return
    # the first at scale 0.8: 4…36, all on the mask; at 1.2: 0…44, its right column (22…44) is 18/22 on it
    assert counted[0].tolist() == [True] * 12
    # the second: left columns 4…20, 0…20 and 0…22 are on the mask; right columns are not
    assert counted[1].view(3, 2, 2)[:, :, 0].all()
    assert not counted[1].view(3, 2, 2)[:, :, 1].any()


def test_a_thin_exemplar_is_compared_whole() -> None:
    module = LikenessModule(IcmformerPPConfig(**TINY)).eval()
    mask = torch.zeros(1, 1, 64, 64)
    mask[0, 0, 20, 10:50] = 1  # one row of its 16-row box
    _, counted = module.kernels(torch.randn(1, 3, 64, 64), mask, torch.tensor([[10.0, 12.0, 50.0, 28.0]]))
    assert counted.all()


def test_the_exemplar_s_own_patch_makes_the_kernels() -> None:
    """Kernels change with what is inside the box and not with what is outside of the largest one."""
    module = LikenessModule(IcmformerPPConfig(**TINY)).eval()
    pixels, mask = torch.randn(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    boxes = torch.tensor([[20.0, 20.0, 40.0, 40.0]])
    kernels, _ = module.kernels(pixels, mask, boxes)
    outside, inside = pixels.clone(), pixels.clone()
    outside[:, :, 50:] += 5
    inside[:, :, 30:34, 30:34] += 5
    torch.testing.assert_close(module.kernels(outside, mask, boxes)[0], kernels)
    assert not torch.allclose(module.kernels(inside, mask, boxes)[0], kernels)


def test_a_response_becomes_queries() -> None:
    module = LikenessModule(IcmformerPPConfig(**TINY))
    guide = module.guided(torch.randn(2, 1, 2, 3), (4, 6))
    assert guide.shape == (2, 24, 8)
