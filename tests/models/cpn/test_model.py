"""CPN: queries, switches, several exemplars."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.cpn import ProposalModel
from models.cpn.model import decode
from models.roi_align import roi_align
from tests.helpers.networks import CHANNELS, random_cpn

HEIGHT, WIDTH = 64, 96
BOXES = torch.tensor([[12.0, 8.0, 60.0, 56.0], [4.0, 4.0, 20.0, 12.0], [70.0, 30.0, 90.0, 60.0]])


def pyramid(batch: int = 1, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(batch, CHANNELS, HEIGHT // s, WIDTH // s, generator=generator) for s in (4, 8, 16, 32)
    ]


def filled(boxes: Tensor = BOXES) -> Tensor:
    """Masks that fill their boxes."""
    masks = torch.zeros(len(boxes), HEIGHT // 4, WIDTH // 4)
    for mask, (x1, y1, x2, y2) in zip(masks, (boxes / 4).long().tolist(), strict=True):
        mask[y1:y2, x1:x2] = 1
    return masks


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.mark.parametrize("size", [3, 5, 7])
def test_each_level_gives_a_grid_of_queries(size: int) -> None:
    network = random_cpn(query_size=size)
    memory = network.remember(pyramid())[0]
    masks = filled()
    queries = network.queries(memory, masks, BOXES)
    assert queries.shape == (1, 3 * 3 * size**2, CHANNELS)
    # the second exemplar's queries at P3: the RoI-Align of its box, projected, with their positions
    pooled = roi_align(memory.features[1], BOXES[1:2], 8, size)[0].flatten(1).T  # [k², C]
    position = network.position[size**2 : 2 * size**2]
    start = 3 * size**2 + size**2
    expected = network.query_projections[1](pooled) + position
    torch.testing.assert_close(queries[0, start : start + size**2], expected, atol=1e-5, rtol=1e-5)


def test_the_query_size_changes_nothing_but_the_positions() -> None:
    three, seven = random_cpn(query_size=3).state_dict(), random_cpn(query_size=7).state_dict()
    assert three.keys() == seven.keys()
    assert {name for name in three if three[name].shape != seven[name].shape} == {"position"}


def test_queries_outside_the_mask_are_zeroed() -> None:
    # an L: the first column of the 3 × 3 bins and the last row
    masks = torch.zeros(1, HEIGHT // 4, WIDTH // 4)
    masks[0, 2:14, 3:7] = 1
    masks[0, 10:14, 3:15] = 1
    kept = torch.tensor([True, False, False, True, False, False, True, True, True])
    memory = random_cpn().remember(pyramid())[0]
    masked, whole = random_cpn(), random_cpn(mask_queries=False)
    with_mask = masked.queries(memory, masks, BOXES[:1])[0].unflatten(0, (3, 9))  # [levels, k², C']
    without = whole.queries(memory, masks, BOXES[:1])[0].unflatten(0, (3, 9))
    torch.testing.assert_close(with_mask[:, kept], without[:, kept])
    for level in range(3):
        nothing = masked.query_projections[level].bias + masked.position.unflatten(0, (3, 9))[level]
        torch.testing.assert_close(with_mask[level][~kept], nothing[~kept])
        assert not torch.allclose(without[level][~kept], nothing[~kept], atol=1e-3)


def test_a_bin_counts_from_half_its_area_or_as_the_fullest() -> None:
    network = random_cpn(query_size=1)
    memory = network.remember(pyramid())[0]
    mask = torch.zeros(1, HEIGHT // 4, WIDTH // 4)
    mask[0, 3, 4] = 1  # a sliver in a large box: the only bin is the fullest one
    sliver = network.queries(memory, mask, BOXES[:1])
    torch.testing.assert_close(sliver, network.queries(memory, filled(BOXES[:1]), BOXES[:1]))
    # bins of 4 × 4 cells, of which 9, 7 and 16 cells are covered in the first row
    network = random_cpn(query_size=3)
    mask = torch.zeros(1, HEIGHT // 4, WIDTH // 4)
    mask[0, 2:4, 3:7] = mask[0, 4, 3] = 1
    mask[0, 2, 7:11] = mask[0, 3, 7:10] = 1
    mask[0, 2:6, 11:15] = 1
    keep = network._keep(mask, BOXES[:1])
    assert keep[0, 0].tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]


def tokens(network: ProposalModel, maps: list[Tensor], stride: int) -> Tensor:
    """What a decoder layer reads of a level: ``[1, HW, C']``."""
    level = (4, 8, 16).index(stride)
    projected = network.token_projections[level](maps[level])[0].flatten(1).T
    return network.token_norms[level](projected)[None]


@pytest.mark.parametrize("order", [(4, 8, 16), (16, 8, 4), (4, 4, 4), (16, 16), (8,)])
def test_layers_read_the_levels_in_order(order: tuple[int, ...]) -> None:
    network = random_cpn(level_order=order)
    maps = pyramid()
    memory = network.remember(maps)[0]
    assert len(network.layers) == len(order)
    x = torch.randn(1, 27, CHANNELS, generator=torch.Generator().manual_seed(1))
    for layer, stride, keys, values in zip(network.layers, order, memory.keys, memory.values, strict=True):
        assert keys.shape == values.shape == (1, 2, HEIGHT * WIDTH // stride**2, CHANNELS // 2)
        # torch's own layer, which projects the level each time
        expected = layer(x, tokens(network, maps, stride))
        torch.testing.assert_close(decode(layer, x, keys, values), expected, atol=1e-5, rtol=1e-5)


def test_a_memory_knows_its_weight() -> None:
    memory = random_cpn().remember(pyramid())[0]
    cells = HEIGHT * WIDTH // 16  # of P2; P3 and P4 have a quarter and a sixteenth of them
    keys_and_values = 2 * CHANNELS * (cells + cells // 4 + cells // 16)
    assert memory.nbytes == 4 * (keys_and_values + CHANNELS * cells)


def test_the_same_exemplars_are_asked_about_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_cpn()
    memory, masks = network.remember(pyramid())[0], filled()
    empty, calls = memory.nbytes, []
    monkeypatch.setattr(
        network, "queries", lambda *given: calls.append(1) or type(network).queries(network, *given)
    )
    first = network.heatmap(memory, masks, BOXES)
    assert torch.equal(network.heatmap(memory, masks.clone(), BOXES.clone()), first)
    assert len(calls) == 1
    assert memory.nbytes == empty + 4 * HEIGHT * WIDTH // 16
    # another box, another mask, fewer of them, another scene: each is a question of its own
    moved, thinned = BOXES + torch.tensor([0.0, 0.0, 0.0, 1.0]), masks.clone()
    thinned[0, 4, 4] = 0.75
    network.heatmap(memory, masks, moved)
    network.heatmap(memory, thinned, BOXES)
    network.heatmap(memory, masks[:1], BOXES[:1])
    assert not torch.equal(network.heatmap(network.remember(pyramid(seed=1))[0], masks, BOXES), first)
    assert len(calls) == 5


def test_training_never_gets_a_remembered_heatmap() -> None:
    network = random_cpn()
    memory = network.remember(pyramid())[0]
    network.heatmap(memory, filled(), BOXES)
    with torch.enable_grad():
        heatmap = network.heatmap(memory, filled(), BOXES)
    assert heatmap.requires_grad


def test_the_level_order_changes_nothing_else() -> None:
    usual, turned = random_cpn(), random_cpn(level_order=(16, 8, 4))
    first, second = usual.state_dict(), turned.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    maps, masks = pyramid(), filled()
    one, other = usual.remember(maps)[0], turned.remember(maps)[0]
    assert torch.equal(one.adapted, other.adapted)
    assert torch.equal(usual.queries(one, masks, BOXES), turned.queries(other, masks, BOXES))
    assert not torch.allclose(usual.heatmap(one, masks, BOXES), turned.heatmap(other, masks, BOXES))


def test_without_an_adapter_the_query_is_correlated_with_p2() -> None:
    maps = pyramid()
    network = random_cpn(adapter_depth=0)
    memory = network.remember(maps)[0]
    assert torch.equal(memory.adapted, maps[0][0])
    heatmap = network.heatmap(memory, filled(), BOXES)
    x = network.queries(memory, filled(), BOXES)
    for layer, stride in zip(network.layers, (4, 8, 16), strict=True):
        x = layer(x, tokens(network, maps, stride))
    kernel = network.aggregate(x.mean(1))[0]
    at = (kernel * maps[0][0, :, 3, 5]).sum() / CHANNELS**0.5 + network.bias
    assert heatmap[3, 5].item() == pytest.approx(at.item(), abs=1e-5)
    projected = random_cpn(adapter_depth=0, channels=8)  # a width of its own needs a projection
    assert projected.remember(maps)[0].adapted.shape == (8, HEIGHT // 4, WIDTH // 4)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_adapter_has_as_many_convolutions_as_asked(depth: int) -> None:
    network = random_cpn(adapter_depth=depth)
    convolutions = [m for m in network.adapter if isinstance(m, torch.nn.Conv2d)]
    assert [c.in_channels for c in convolutions] == [3 * CHANNELS] + [CHANNELS] * (depth - 1)
    assert network.remember(pyramid())[0].adapted.shape == (CHANNELS, HEIGHT // 4, WIDTH // 4)


def test_several_exemplars() -> None:
    network = random_cpn()
    memory = network.remember(pyramid())[0]
    masks = filled()
    heatmap = network.heatmap(memory, masks, BOXES)
    assert heatmap.shape == (HEIGHT // 4, WIDTH // 4)
    # neither their order nor repeating them matters, which ones they are does
    torch.testing.assert_close(network.heatmap(memory, masks.flip(0), BOXES.flip(0)), heatmap)
    twice = network.heatmap(memory, masks.repeat(2, 1, 1), BOXES.repeat(2, 1))
    torch.testing.assert_close(twice, heatmap, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(network.heatmap(memory, masks[:1], BOXES[:1]), heatmap, atol=1e-4)


def test_forward_equals_one_image_at_a_time() -> None:
    network = random_cpn(adapter_depth=2)
    maps, masks = pyramid(batch=2), filled()
    together = network(maps, [masks[:1], masks[1:]], [BOXES[:1], BOXES[1:]])
    assert together.shape == (2, HEIGHT // 4, WIDTH // 4)
    for index, own in enumerate((slice(0, 1), slice(1, 3))):
        memory = network.remember([m[index : index + 1] for m in maps])[0]
        alone = network.heatmap(memory, masks[own], BOXES[own])
        torch.testing.assert_close(together[index], alone, atol=1e-5, rtol=1e-5)


def test_groups_of_one_image_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_cpn()
    maps, masks = pyramid(batch=2), filled()
    single = [
        network([m[i : i + 1] for m in maps], [masks[g : g + 1]], [BOXES[g : g + 1]])[0]
        for i, g in ((1, 0), (0, 1), (1, 2))
    ]
    calls = []
    remember = network.remember
    monkeypatch.setattr(
        network, "remember", lambda levels, _: calls.append(len(levels[0])) or remember(levels)
    )
    together = network(maps, list(masks[:, None]), list(BOXES[:, None]), [1, 0, 1])
    assert calls == [2]  # both images at once
    torch.testing.assert_close(together, torch.stack(single), atol=1e-5, rtol=1e-5)


def test_a_fresh_heatmap_is_dark() -> None:
    network = random_cpn()
    heatmap = network.heatmap(network.remember(pyramid())[0], filled(), BOXES).sigmoid()
    assert 0.02 < heatmap.median() < 0.4  # CenterNet starts at 0.1


def test_saved_and_loaded_weights_are_the_same_bits(tmp_path: Path) -> None:
    network = random_cpn(query_size=5, level_order=(16, 4), mask_queries=False)
    network.save_pretrained(tmp_path)
    again = ProposalModel.from_pretrained(tmp_path).eval()
    assert (again.config.query_size, again.config.level_order) == (5, [16, 4])
    assert again.config.mask_queries is False
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in network.state_dict().items())
    maps, masks = pyramid(), filled()
    assert torch.equal(again(maps, [masks], [BOXES]), network(maps, [masks], [BOXES]))
