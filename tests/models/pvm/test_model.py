"""PVM: what it cuts out, its switches, its similarity."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.pvm import VerificationConfig, VerificationModel
from models.pvm.model import ObjectInputs, pairwise_distance
from models.roi_align import roi_align
from tests.helpers.networks import CHANNELS, random_pvm

HEIGHT, WIDTH = 64, 96
BOXES = torch.tensor([[8.0, 8.0, 40.0, 24.0], [48.0, 16.0, 56.0, 60.0], [4.0, 40.0, 16.0, 52.0]])


@pytest.fixture(scope="module")
def scene() -> tuple[Tensor, Tensor, Tensor]:
    """A picture, its P2, and masks that fill the boxes."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, HEIGHT, WIDTH), generator=generator).float()
    feature = torch.randn(CHANNELS, HEIGHT // 4, WIDTH // 4, generator=generator)
    masks = torch.zeros(3, HEIGHT // 4, WIDTH // 4)
    for mask, (x1, y1, x2, y2) in zip(masks, (BOXES / 4).long().tolist(), strict=True):
        mask[y1:y2, x1:x2] = 1
    return image, feature, masks


def gather(network: VerificationModel, scene: tuple[Tensor, Tensor, Tensor]) -> ObjectInputs:
    image, feature, masks = scene
    return network.gather(image, feature, masks, BOXES)


def embed(network: VerificationModel, inputs: ObjectInputs) -> Tensor:
    with torch.no_grad():
        return network(inputs)


def changed(inputs: ObjectInputs, **parts: Tensor) -> ObjectInputs:
    return ObjectInputs(**{**vars(inputs), **parts})


def test_objects_are_cut_out_of_squares(scene: tuple[Tensor, Tensor, Tensor]) -> None:
    inputs = gather(random_pvm(crop=32, grid=4), scene)
    assert inputs.patches.shape == (3, 3, 32, 32)
    assert inputs.features.shape == (3, CHANNELS, 4, 4)
    assert inputs.coverage.shape == (3, 1, 4, 4)
    assert inputs.sides.tolist() == [[32], [44], [12]]  # of the boxes
    # the first box, x 8–40 and y 8–24, grows to y 0–32: a patch of 32 px shows it pixel by pixel
    image = scene[0]
    blurred = roi_align(image, torch.tensor([[16.0, 20, 17, 21]]), 1, 1)  # two samples a pixel and side
    torch.testing.assert_close(inputs.patches[0, :, 20, 8], blurred[0, :, 0, 0], atol=1e-3, rtol=0)
    assert (inputs.coverage[0, 0] > 0.5).tolist() == [[False] * 4, [True] * 4, [True] * 4, [False] * 4]


def test_without_squares_boxes_are_stretched(scene: tuple[Tensor, Tensor, Tensor]) -> None:
    square, plain = random_pvm(), random_pvm(use_square=False)
    stretched = gather(plain, scene)
    ours = gather(square, scene)
    assert (stretched.coverage[0] > 0.8).all()  # a filled box is covered all over, but for the blur
    assert (ours.coverage[0] < 0.1).any()
    torch.testing.assert_close(stretched.patches[2], ours.patches[2])  # the third is a square already
    torch.testing.assert_close(stretched.features[2], ours.features[2])
    assert not torch.allclose(stretched.patches[0], ours.patches[0])
    assert torch.equal(stretched.sides, ours.sides)
    weights = square.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in plain.state_dict().items())


def test_the_scale_switch(scene: tuple[Tensor, Tensor, Tensor]) -> None:
    with_scale, without = random_pvm(), random_pvm(use_scale=False)
    inputs = gather(with_scale, scene)
    larger = changed(inputs, sides=inputs.sides + 112)
    # half of 224 px more: half the weights that the scale has
    moved = embed(with_scale, larger) - embed(with_scale, inputs)
    torch.testing.assert_close(moved, (0.5 * with_scale.embed_head.weight[:, -1]).expand(3, -1).detach())
    assert torch.equal(embed(without, larger), embed(without, inputs))
    shapes = {name: value.shape for name, value in with_scale.state_dict().items()}
    differs = {name for name, value in without.state_dict().items() if value.shape != shapes[name]}
    assert differs == {"embed_head.weight"}
    assert without.embed_head.in_features == with_scale.embed_head.in_features - 1


def test_the_mask_switch(scene: tuple[Tensor, Tensor, Tensor]) -> None:
    with_mask, without = random_pvm(), random_pvm(use_mask=False)
    inputs = gather(with_mask, scene)
    other = changed(inputs, coverage=inputs.coverage.flip(2) * 0.5 + 0.1)
    assert not torch.allclose(embed(with_mask, other), embed(with_mask, inputs), atol=1e-4)
    assert torch.equal(embed(without, other), embed(without, inputs))
    shapes = {name: value.shape for name, value in with_mask.state_dict().items()}
    differs = {name for name, value in without.state_dict().items() if value.shape != shapes[name]}
    assert differs == {"join.0.weight"}


def test_an_empty_mask_gives_a_finite_embedding(scene: tuple[Tensor, Tensor, Tensor]) -> None:
    network = random_pvm()
    inputs = gather(network, scene)
    assert embed(network, changed(inputs, coverage=torch.zeros_like(inputs.coverage))).isfinite().all()


def test_an_object_does_not_depend_on_its_batch(scene: tuple[Tensor, Tensor, Tensor]) -> None:
    network = random_pvm()
    image, feature, masks = scene
    together = embed(network, gather(network, scene))
    assert together.shape == (3, 8)
    parts = [network.gather(image, feature, masks[i : i + 1], BOXES[i : i + 1]) for i in range(3)]
    for index, part in enumerate(parts):
        torch.testing.assert_close(embed(network, part)[0], together[index], atol=1e-5, rtol=1e-5)
    joined = ObjectInputs.join(parts)
    torch.testing.assert_close(joined.patches, gather(network, scene).patches, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(embed(network, joined), together, atol=1e-5, rtol=1e-5)


def test_similarity_falls_with_the_distance() -> None:
    network = random_pvm()
    target = torch.zeros(8)
    sources = torch.zeros(6, 8)
    sources[:, 0] = torch.tensor([0.0, 0.2, 0.49, 0.51, 1.0, 3.0])
    with torch.no_grad():
        similarity = network.similarity(target, sources)
    assert (similarity.diff() < 0).all()
    # a fresh one decides at half the margin: σ(2 - 4 d)
    expected = torch.sigmoid(2 - 4 * sources[:, 0])
    torch.testing.assert_close(similarity, expected, atol=1e-3, rtol=0)
    assert (similarity[:3] > 0.5).all()
    assert (similarity[3:] < 0.5).all()


def test_the_best_of_several_targets_counts() -> None:
    network = random_pvm()
    targets, sources = torch.randn(3, 8) * 0.2, torch.randn(5, 8) * 0.2
    with torch.no_grad():
        best = network.similarity(targets, sources)
        alone = torch.stack([network.similarity(t, sources) for t in targets])
    assert best.shape == (5,)
    torch.testing.assert_close(best, alone.amax(0))


def test_pairwise_distance() -> None:
    a, b = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0], [0.0, 0.0]])
    expected = torch.tensor([[5.0, 1.0, 0.0], [0.0, 18**0.5, 5.0]])
    torch.testing.assert_close(pairwise_distance(a, b), expected, atol=1e-3, rtol=0)


def test_pairwise_distance_has_a_finite_gradient_at_zero() -> None:
    a = torch.tensor([[1.0, 2.0], [1.0, 5.0]], requires_grad=True)
    pairwise_distance(a, torch.tensor([[1.0, 2.0]])).sum().backward()
    assert a.grad is not None
    assert a.grad.tolist() == [[0, 0], [0, 1]]


def test_the_backbone_takes_its_own_settings() -> None:
    settings = {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}
    network = random_pvm(backbone="resnet", backbone_settings={**settings, "layer_type": "basic"})
    assert network.backbone.channels == (8, 8, 16, 16)
    assert VerificationConfig().backbone_settings["widths"] == [32, 64, 96, 128]
    assert VerificationConfig(backbone="resnet").backbone_settings == {}


def test_saved_and_loaded_weights_are_the_same_bits(
    tmp_path: Path, scene: tuple[Tensor, Tensor, Tensor]
) -> None:
    network = random_pvm(seed=3, use_square=False)
    network.save_pretrained(tmp_path)
    again = VerificationModel.from_pretrained(tmp_path).eval()
    assert again.config.use_square is False
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in network.state_dict().items())
    assert torch.equal(embed(again, gather(again, scene)), embed(network, gather(network, scene)))
