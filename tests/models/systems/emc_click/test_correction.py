"""The mask correction network: its parts, its size."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.systems.clicking.losses import normalised_focal_loss
from models.systems.emc_click.correction import CorrectionSwitches, MaskCorrectionNetwork
from models.systems.emc_click.layers import SeparableUnit
from tests.helpers.networks import settle_norms

ALL = CorrectionSwitches()
TABLE_4 = [
    replace(ALL, correlation=False, self_attention=False),
    replace(ALL, self_attention=False, template_selection=False),
    replace(ALL, correlation=False, template_selection=False),
    replace(ALL, template_selection=False),
    ALL,
]
TABLE_5 = [
    replace(ALL, self_attention=False, negative_templates=False),
    replace(ALL, correlation=False, negative_templates=False),
]


def inputs(batch: int = 2, side: int = 32, channels: int = 8) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(5)
    points = torch.full((2, 3, 3), -1.0)
    points[0, :2] = torch.tensor([[9.5, 8.5, 1.0], [20.5, 3.5, 0.0]])
    points[1, 0] = torch.tensor([3.5, 3.5, 1.0])
    return (
        torch.randn(batch, 3, side, side),
        torch.rand(batch, 2, side, side),
        torch.rand(batch, 1, side, side),
        torch.randn(batch, channels, side // 4, side // 4),
        points[:batch],
    )


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_a_unit_by_hand() -> None:
    # two depthwise 3×3 of 7 channels, their norm's two, 1×1 from 7 to 5, its norm's two; biases everywhere
    assert parameters(SeparableUnit(7, 5)) == 2 * (7 * 9 + 7) + 2 * 7 + 7 * 5 + 5 + 2 * 5
    assert SeparableUnit(7, 5).eval()(torch.zeros(1, 7, 6, 4)).shape == (1, 5, 6, 4)


@pytest.mark.parametrize(("channels", "published"), [(64, 0.11e6), (96, 0.22e6)])
def test_the_published_sizes(channels: int, published: float) -> None:
    # table 1 of the paper, rounded there to two digits; 256 channels are SegFormer-B0's and HRNet-32's
    with torch.device("meta"):
        network = MaskCorrectionNetwork(256, channels, 4)
    assert round(parameters(network) / 1e4) == round(published / 1e4)

    def unit(inputs: int, outputs: int) -> int:
        return 22 * inputs + inputs * outputs + 3 * outputs

    c = channels
    expected = (
        (256 * c + c + 2 * c)  # F_t to C channels, with BatchNorm
        + unit(6 * 16, c) + unit(c, c)  # F_l, from 4 × 4 pixels of six channels
        + unit(2 * c, c) + unit(c, c)  # F_u
        + 4 * (c * c + c)  # queries, keys, values, output
        + 2 * (c * c + c) + unit(c, c) + unit(2 * c, c)  # φ_q, φ_k, φ_s, φ_f
        + unit(2 * c, c) + 2 * unit(c, c) + (9 * c + 1)  # four convolutions to the mask
    )  # fmt: skip
    assert parameters(network) == expected


@pytest.mark.parametrize("switches", TABLE_4 + TABLE_5)
def test_every_ablation_runs_forward_and_backward(switches: CorrectionSwitches) -> None:
    network = MaskCorrectionNetwork(24, 8, 2, switches)
    logits = network(*inputs())
    assert logits.shape == (2, 1, 8, 8)
    logits.square().sum().backward()
    unused = {name for name, p in network.named_parameters() if p.grad is None}
    assert unused == {name for name, _ in network.named_parameters() if name.startswith("adaption")}


def test_the_rows_of_table_4_grow() -> None:
    sizes = [parameters(MaskCorrectionNetwork(24, 8, 2, switches)) for switches in TABLE_4]
    simple, correlation, attention, both, selected = sizes
    assert simple < attention < both
    assert simple < correlation < both
    assert both == selected  # template selection learns nothing of its own


def test_an_image_of_a_batch_is_corrected_as_if_alone() -> None:
    torch.manual_seed(1)
    network = MaskCorrectionNetwork(24, 8, 2).eval()
    given = inputs()
    with torch.no_grad():
        together = network(*given)
        for row in range(2):
            alone = network(*(value[row : row + 1] for value in given))
            torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-4)


def test_negative_clicks_and_the_previous_mask_matter() -> None:
    torch.manual_seed(1)
    network = settle_norms(MaskCorrectionNetwork(24, 8, 2), *inputs())
    image, maps, previous, features, points = inputs()
    flipped = points.clone()
    flipped[0, 1, 2] = 1
    with torch.no_grad():
        base = network(image, maps, previous, features, points)
        other = network(image, maps, previous, features, flipped)
        blank = network(image, maps, 0 * previous, features, points)
    assert not torch.allclose(base[0], other[0])  # through the templates: the maps are the same
    torch.testing.assert_close(base[1], other[1])
    assert not torch.allclose(base[1], blank[1])


@pytest.mark.slow
def test_it_learns_to_read_a_mask_in_the_features() -> None:
    torch.manual_seed(0)
    network = MaskCorrectionNetwork(8, 32, 4).train()
    image, maps, previous, features, points = inputs(side=48)
    mask = torch.zeros(2, 1, 12, 12)
    mask[0, :, 1:6, 1:8] = mask[1, :, 0:5, 0:4] = 1
    features[:, :1] += 2 * mask
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    history = []
    for _ in range(25):
        loss = normalised_focal_loss(network(image, maps, previous, network.adapt(features), points), mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert sum(history[-3:]) < 0.75 * sum(history[:3])
