"""Full passes for networks whose heads are not local: the same answers as windows where both can be had."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from models.one_click.candidates import find_candidates
from models.one_click.finder import EncodedImage, ObjectFinder
from models.one_click.found_object import FoundObject
from models.one_click.full_pass import candidates_of_pass, clicked_pass
from models.one_click.model import OneClickModel, click_maps_of
from models.one_click.windows import ClickedImage
from tests.helpers.networks import random_one_click

SIDE = 96
GROUPS = [[(20.0, 30.0)], [(70.5, 64.0), (60.0, 50.0)], [(95.9, 0.0)]]


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def lively(seed: int = 1, **changes) -> OneClickModel:
    """Boxes of some 14 strides, and GroupNorms that are not the identity."""
    network = random_one_click(seed=seed, **changes)
    torch.nn.init.constant_(network.heads.box_distances.bias, 7.0)
    for module in network.modules():
        if isinstance(module, torch.nn.GroupNorm):
            torch.nn.init.normal_(module.bias, std=0.3)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    return network


def encoded_by(network: OneClickModel) -> EncodedImage:
    pixels = torch.randint(0, 256, (1, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(1))
    return ObjectFinder(network, everywhere=True).encode(pixels.float(), SIDE, SIDE)


def same_object(one: FoundObject, other: FoundObject) -> bool:
    return (
        (one.top, one.left) == (other.top, other.left)
        and one.logits.shape == other.logits.shape
        and np.allclose(one.logits, other.logits, atol=1e-3)
        and one.score == pytest.approx(other.score, abs=1e-5)
    )


def bare(encoded: EncodedImage) -> EncodedImage:
    """Without what windows need."""
    return EncodedImage(encoded.pyramid, encoded.mask_features, [], encoded.height, encoded.width)


@pytest.mark.parametrize("embedding", [True, False])
def test_local_heads_give_the_same_candidates_from_windows_and_from_full_passes(embedding: bool) -> None:
    network = lively(click_embedding=embedding)
    encoded = encoded_by(network)
    windows = find_candidates(network.heads, [ClickedImage(encoded.pyramid, GROUPS)], [encoded.free])[0]
    for group, expected in zip(GROUPS, windows, strict=True):
        output = clicked_pass(network, encoded.pyramid, group, encoded.mask_features)
        found = candidates_of_pass(network, output, group)
        assert len(found.scores) > 0
        torch.testing.assert_close(found.scores, expected.scores, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(found.boxes, expected.boxes, atol=1e-3, rtol=1e-4)
        assert torch.equal(found.levels, expected.levels)
        assert torch.equal(found.points, expected.points)
        torch.testing.assert_close(found.kernels, expected.kernels, atol=1e-4, rtol=1e-3)


def test_a_finder_that_is_made_to_take_full_passes_answers_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    network = lively()
    encoded = encoded_by(network)
    windows = ObjectFinder(network).find(encoded, GROUPS)
    monkeypatch.setattr(type(network.config), "heads_are_local", False)
    passes = ObjectFinder(network).find(bare(encoded), GROUPS)
    assert any(item is not None for item in windows)
    for one, other in zip(windows, passes, strict=True):
        assert (one is None) == (other is None)
        assert one is None or other is None or same_object(one, other)


@pytest.mark.parametrize(
    "changes",
    [
        {"norm": "group"},
        {"norm": "group", "mask_norm": "batch", "kernel_coordinates": True},
        {"kernel_coordinates": True},
        {"click_in_masks": True},
    ],
)
def test_networks_without_local_heads_score_as_a_full_forward_pass_does(changes: dict) -> None:
    network = lively(**changes)
    assert not network.config.heads_are_local
    pixels = torch.randint(0, 256, (1, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(1)).float()
    encoded = ObjectFinder(network, everywhere=True).encode(pixels, SIDE, SIDE)
    for group in GROUPS:
        whole = network(pixels, click_maps_of([group], SIDE, SIDE))
        output = clicked_pass(network, encoded.pyramid, group, encoded.mask_features)
        torch.testing.assert_close(output.mask_features, whole.mask_features, atol=1e-4, rtol=1e-4)
        scores = [(x.logits.sigmoid() * x.centerness.sigmoid()).sqrt()[0, 0] for x in whole.levels]
        found = candidates_of_pass(network, output, group)
        assert len(found.scores) > 0
        for score, level, point, kernel in zip(
            found.scores, found.levels, found.points, found.kernels, strict=True
        ):
            column, row = (int(p) // (4 * 2 ** int(level)) for p in point)
            assert float(scores[level][row, column]) == pytest.approx(float(score), abs=1e-5)
            features = network.heads.with_coordinates(whole.levels[level].features)
            wanted = network.heads.dense_kernels(features)[0, :, row, column]
            torch.testing.assert_close(kernel, wanted, atol=1e-4, rtol=1e-3)


def test_clicks_of_one_group_do_not_change_another() -> None:
    network = lively(norm="group", click_in_masks=True)
    encoded = encoded_by(network)
    finder = ObjectFinder(network)
    together = finder.find(encoded, GROUPS)
    assert any(item is not None for item in together)
    for group, item in zip(GROUPS, together, strict=True):
        alone = finder.find(encoded, [group])[0]
        assert (alone is None) == (item is None)
        assert alone is None or item is None or same_object(alone, item)


def test_clicks_move_the_masks_of_a_mask_branch_that_sees_them() -> None:
    network = lively(click_in_masks=True)
    encoded = encoded_by(network)
    output = clicked_pass(network, encoded.pyramid, GROUPS[0], encoded.mask_features)
    assert (output.mask_features[0] - encoded.mask_features).abs().max() > 1e-3


def test_without_click_embedding_one_pass_serves_all_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    network = lively(norm="group", click_embedding=False)
    encoded = encoded_by(network)
    passes = []
    monkeypatch.setattr(
        "models.one_click.finder.clicked_pass",
        lambda *arguments: passes.append(1) or clicked_pass(*arguments),
    )
    assert len(ObjectFinder(network).find(encoded, GROUPS)) == 3
    assert len(passes) == 1
