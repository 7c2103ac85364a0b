"""The 1C-DSN network: click maps, shapes, switches."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.one_click import OneClickModel
from models.one_click.dynamic_masks import SIZES_OF_INTEREST
from models.one_click.model import click_maps_of
from tests.helpers.networks import one_click_config, random_one_click


def image(height: int = 64, width: int = 96, batch: int = 1) -> torch.Tensor:
    return torch.randint(
        0, 256, (batch, 3, height, width), generator=torch.Generator().manual_seed(3)
    ).float()


def test_click_maps_have_one_cell_per_click_and_level() -> None:
    maps = click_maps_of([[(0.0, 0.0), (37.9, 63.9), (47.9, 30.9)], []], 64, 96)
    assert [m.shape for m in maps] == [(2, 1, 64 // s, 96 // s) for s in (4, 8, 16, 32)]
    cells = [m[0, 0].nonzero().tolist() for m in maps]
    assert cells == [
        [[0, 0], [7, 11], [15, 9]],
        [[0, 0], [3, 5], [7, 4]],
        [[0, 0], [1, 2], [3, 2]],
        [[0, 0], [0, 1], [1, 1]],
    ]
    assert all(m.max() == 1 for m in maps)
    assert all(m[1].sum() == 0 for m in maps)


def test_clicks_on_one_cell_and_beyond_the_border() -> None:
    maps = click_maps_of([[(1.0, 1.0), (3.0, 2.0), (-5.0, 100.0)]], 64, 64)
    assert maps[0][0, 0].nonzero().tolist() == [[0, 0], [15, 0]]
    assert maps[0].max() == 1


def test_outputs_of_one_pass() -> None:
    network = random_one_click()
    with torch.no_grad():
        output = network(image(batch=2), click_maps_of([[(10, 10)], []], 64, 96))
    for stride, level, feature in zip((4, 8, 16, 32), output.levels, output.pyramid, strict=True):
        size = (64 // stride, 96 // stride)
        assert feature.shape == (2, 16, *size)
        assert level.logits.shape == level.centerness.shape == (2, 1, *size)
        assert level.distances.shape == (2, 4, *size)
        assert (level.distances >= 0).all()
    assert output.mask_features.shape == (2, 8, 16, 24)
    assert SIZES_OF_INTEREST == (32, 64, 128, 256)


def test_pixels_are_normalised_whatever_their_type() -> None:
    network = random_one_click(image_mean=(10, 20, 30), image_std=(2, 4, 5))
    pixels = torch.tensor([12, 16, 40], dtype=torch.uint8).view(1, 3, 1, 1)
    assert network.normalise(pixels).flatten().tolist() == [1, -1, 2]


def test_a_fresh_network_starts_at_the_prior() -> None:
    torch.manual_seed(0)
    network = OneClickModel(one_click_config()).eval()
    with torch.no_grad():
        levels = network(image()).levels
    for level in levels:
        torch.testing.assert_close(
            level.logits.sigmoid(), torch.full_like(level.logits, 0.01), atol=2e-3, rtol=0
        )
        torch.testing.assert_close(level.distances, torch.full_like(level.distances, 4.0), atol=0.5, rtol=0)


def test_without_click_embedding_clicks_change_nothing() -> None:
    network = random_one_click(click_embedding=False)
    maps = click_maps_of([[(30, 30)]], 64, 96)
    with torch.no_grad():
        clicked, free = network(image(), maps), network(image())
    for a, b in zip(clicked.levels, free.levels, strict=True):
        assert torch.equal(a.logits, b.logits)
        assert torch.equal(a.distances, b.distances)
    assert not any("click" in name for name, _ in network.named_parameters())


@pytest.mark.parametrize("click_in_masks", [False, True])
def test_whether_masks_see_the_clicks(click_in_masks: bool) -> None:
    network = random_one_click(click_in_masks=click_in_masks)
    with torch.no_grad():
        clicked = network(image(), click_maps_of([[(30, 30)]], 64, 96)).mask_features
        free = network(image()).mask_features
    assert torch.equal(clicked, free) != click_in_masks


@pytest.mark.parametrize("click_in_masks", [False, True])
def test_several_sets_of_clicks_on_each_picture(click_in_masks: bool) -> None:
    """Each set gives what it gives alone; the pictures are encoded once."""
    model = random_one_click(click_in_masks=click_in_masks)
    pixels = image(batch=2)
    sets = [click_maps_of(clicks, 64, 96) for clicks in ([[(9, 9)], [(50, 30)]], [[(70, 40)], []])]
    with torch.no_grad():
        both = model(pixels, [torch.cat(level) for level in zip(*sets, strict=True)])
        alone = [model(pixels, maps) for maps in sets]
    assert both.pyramid[0].shape[0] == 2
    expected = torch.cat([output.mask_features for output in alone])
    torch.testing.assert_close(both.mask_features, expected, rtol=1e-4, atol=1e-5)
    for level, output in enumerate(both.levels):
        expected = torch.cat([one.levels[level].logits for one in alone])
        torch.testing.assert_close(output.logits, expected, rtol=1e-4, atol=1e-5)
    assert (both.levels[0].logits[0] - both.levels[0].logits[2]).abs().max() > 1e-3


def test_no_click_map_equals_an_empty_one() -> None:
    network = random_one_click()
    with torch.no_grad():
        empty, none = network(image(), click_maps_of([[]], 64, 96)), network(image())
    for a, b in zip(empty.levels, none.levels, strict=True):
        torch.testing.assert_close(a.logits, b.logits)
        torch.testing.assert_close(a.distances, b.distances)


def test_kernel_coordinates_run_from_minus_one_to_one() -> None:
    heads = random_one_click(kernel_coordinates=True).heads
    joined = heads.with_coordinates(torch.zeros(2, 16, 3, 5))
    assert joined.shape == (2, 18, 3, 5)
    assert joined[1, 16, 0].tolist() == [-1, -0.5, 0, 0.5, 1]
    assert joined[1, 17, :, 0].tolist() == [-1, 0, 1]
    assert heads.kernel_tower.units[0].conv.in_channels == 18


def test_group_norm_has_groups_of_at_most_32() -> None:
    network = random_one_click(norm="group", head_channels=48, pyramid_channels=64)
    norms = [m for m in network.heads.modules() if isinstance(m, torch.nn.GroupNorm)]
    assert {(n.num_channels, n.num_groups) for n in norms} == {(48, 16), (16, 16)}
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.heads.modules())


def test_saved_and_loaded_weights_are_the_same_bits(tmp_path: Path) -> None:
    network = random_one_click(seed=5, click_in_masks=True, kernel_depth=2)
    network.save_pretrained(tmp_path)
    again = OneClickModel.from_pretrained(tmp_path)
    assert again.config.to_dict().items() >= {"click_in_masks": True, "kernel_depth": 2}.items()
    ours, theirs = network.state_dict(), again.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
