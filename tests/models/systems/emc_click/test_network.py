"""The whole network: what runs when, and what is saved."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.systems.emc_click.base_heads import AllMlpHead
from models.systems.emc_click.config import EmcClickConfig
from models.systems.emc_click.network import EmcClickNetwork, first_points
from tests.helpers.emc_click import SETTINGS, random_emc_click
from tests.helpers.tiny_backbones import TINY
from toolkit.errors import InputError

IMAGE = torch.randint(0, 256, (2, 3, 64, 96), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
POINTS = torch.tensor([[[30.5, 20.5, 1.0], [50.5, 40.5, 0.0]], [[10.5, 50.5, 1.0], [-1.0, -1.0, -1.0]]])
NONE = torch.zeros(2, 1, 64, 96)


def test_the_first_positive_point_of_each_image() -> None:
    points = torch.tensor(
        [
            [[1.0, 2.0, 0.0], [3.0, 4.0, 1.0], [5.0, 6.0, 1.0]],
            [[7.0, 8.0, 0.0], [-1.0, -1.0, -1.0], [-1.0, -1.0, -1.0]],
        ]
    )
    assert first_points(points)[0].tolist() == [[3, 4, 1]]
    assert first_points(points)[1, 0, 2] == -1
    assert points[1, 0, 2] == 0  # the points themselves are left alone


def test_the_head_by_hand() -> None:
    head = AllMlpHead([1, 1, 1, 1], 1, 0.0).eval()
    with torch.no_grad():
        for weight, embed in zip((1.0, 10.0, 100.0, 1000.0), head.embed, strict=True):
            embed.weight.fill_(weight)
            embed.bias.zero_()
        head.fuse[0].weight.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1, 1))
        head.predict.weight.fill_(-2.0)
        head.predict.bias.fill_(1.0)
    maps = [torch.full((1, 1, 8 // scale, 8 // scale), 1.0) for scale in (1, 2, 4, 8)]
    features, logits, _ = head(maps)
    expected = (1 + 20 + 300 + 4000) / (1 + head.fuse[1].eps) ** 0.5
    torch.testing.assert_close(features, torch.full((1, 1, 8, 8), expected))
    torch.testing.assert_close(logits, torch.full((1, 1, 8, 8), 1 - 2 * expected))


def test_both_masks_have_the_images_size() -> None:
    output = random_emc_click()(IMAGE, POINTS, NONE)
    assert output.logits.shape == output.coarse.shape == (2, 1, 64, 96)


def test_without_a_previous_mask_the_coarse_one_is_corrected() -> None:
    network = random_emc_click()
    some = torch.rand(2, 1, 64, 96)
    some[1] = 0
    with torch.no_grad():
        features, coarse = network.start(IMAGE, POINTS)
        output = network(IMAGE, POINTS, some)
        given = network.correct(IMAGE, POINTS, some, features)
        first = network.correct(IMAGE, POINTS, coarse.sigmoid(), features)
    torch.testing.assert_close(output.coarse, coarse)
    torch.testing.assert_close(output.logits[0], given[0])
    torch.testing.assert_close(output.logits[1], first[1])
    assert not torch.allclose(given[1], first[1])


def test_the_base_network_sees_the_first_click_only() -> None:
    network = random_emc_click()
    moved, more = POINTS.clone(), POINTS.clone()
    moved[:, 0, :2] += 16
    more[:, 1] = torch.tensor([70.5, 10.5, 1.0])
    with torch.no_grad():
        features, coarse = network.start(IMAGE, POINTS)
        assert torch.equal(network.start(IMAGE, more)[0], features)
        assert not torch.allclose(network.start(IMAGE, moved)[1], coarse)
        blind = random_emc_click(first_click=False)
        assert torch.equal(blind.start(IMAGE, POINTS)[1], blind.start(IMAGE, moved)[1])


@pytest.mark.parametrize("changes", [{}, {"first_click": False, "correlation": False}])
def test_saved_and_loaded(changes: dict[str, bool], tmp_path: Path) -> None:
    network = random_emc_click(**changes)
    network.save_pretrained(tmp_path)
    loaded = EmcClickNetwork.from_pretrained(tmp_path).eval()
    assert loaded.config.to_dict() == {**network.config.to_dict(), **loaded.config.to_dict()}
    with torch.no_grad():
        assert torch.equal(loaded(IMAGE, POINTS, NONE).logits, network(IMAGE, POINTS, NONE).logits)


def test_a_segformer_learns_from_both_losses() -> None:
    settings = {**SETTINGS, "backbone": "segformer", "backbone_settings": TINY["segformer"]}
    network = EmcClickNetwork(EmcClickConfig(**settings)).train()
    output = network(IMAGE, POINTS, NONE)
    assert output.auxiliary is None
    (output.logits.mean() + output.coarse.mean()).backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None]


def test_an_hrnet_has_an_auxiliary_output_too() -> None:
    settings = {**SETTINGS, "backbone": "hrnet-18s", "backbone_settings": {"width": 4}}
    network = EmcClickNetwork(EmcClickConfig(**settings)).train()
    output = network(IMAGE, POINTS, NONE)
    assert output.auxiliary is not None
    assert output.auxiliary.shape == (2, 1, 64, 96)
    (output.logits.mean() + output.coarse.mean() + output.auxiliary.mean()).backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None]


def test_settings_that_can_not_be() -> None:
    with pytest.raises(InputError, match="zoom_in"):
        EmcClickConfig(zoom_in=True)
    with pytest.raises(InputError, match="multiple of the 4 attention_heads"):
        EmcClickConfig(correction_channels=30)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["emc-click-mit-b0", "emc-click-mit-b3"])
def test_the_published_networks_run_forward_and_backward(recipe: str) -> None:
    from models.recipes import read_recipe

    network = EmcClickNetwork(EmcClickConfig(**read_recipe(recipe).model)).train()
    output = network(IMAGE[:, :, :64, :64], POINTS, NONE[:, :, :64, :64])
    (output.logits.mean() + output.coarse.mean()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
