"""Masks by dynamic kernels, against a plain loop over pixels."""

from __future__ import annotations

import numpy as np
import torch

from models.one_click.dynamic_masks import (
    KERNEL_PARAMETERS,
    MaskBranch,
    MaskDrawer,
    drawable,
    dynamic_masks,
)
from tests.helpers.networks import one_click_config


def plain_mask(
    features: np.ndarray, kernel: np.ndarray, location: np.ndarray, size: float, origin: tuple[int, int]
) -> np.ndarray:
    """One object's logits: at each cell a 10 → 8 → 8 → 1 perceptron."""
    w1, rest = kernel[:80].reshape(8, 10), kernel[80:]
    b1, rest = rest[:8], rest[8:]
    w2, rest = rest[:64].reshape(8, 8), rest[64:]
    b2, w3, b3 = rest[:8], rest[8:16], rest[16]
    logits = np.zeros(features.shape[1:])
    for row in range(features.shape[1]):
        for column in range(features.shape[2]):
            x, y = (origin[0] + column) * 4 + 2, (origin[1] + row) * 4 + 2  # the cell's middle pixel
            inputs = [*features[:, row, column], (location[0] - x) / size, (location[1] - y) / size]
            first = np.maximum(w1 @ inputs + b1, 0)
            second = np.maximum(w2 @ first + b2, 0)
            logits[row, column] = w3 @ second + b3
    return logits


def test_kernels_have_169_parameters() -> None:
    assert KERNEL_PARAMETERS == (10 * 8 + 8) + (8 * 8 + 8) + (8 * 1 + 1) == 169


def test_equals_a_perceptron_at_each_cell(rng: np.random.Generator) -> None:
    features, kernels = rng.normal(size=(8, 5, 6)), rng.normal(size=(3, 169))
    locations, sizes = rng.uniform(0, 60, (3, 2)), np.array([32.0, 64.0, 256.0])
    origin = (7, 2)
    tensors = [torch.from_numpy(a) for a in (features, kernels, locations, sizes)]
    result = dynamic_masks(*tensors, origin=origin).numpy()
    assert result.shape == (3, 5, 6)
    for index in range(3):
        expected = plain_mask(features, kernels[index], locations[index], sizes[index], origin)
        np.testing.assert_allclose(result[index], expected, atol=1e-9)


def test_each_object_may_have_a_window_of_its_own(rng: np.random.Generator) -> None:
    features, kernels = rng.normal(size=(3, 8, 4, 5)), rng.normal(size=(3, 169))
    locations, sizes = rng.uniform(0, 20, (3, 2)), np.full(3, 32.0)
    result = dynamic_masks(*(torch.from_numpy(a) for a in (features, kernels, locations, sizes))).numpy()
    for index in range(3):
        expected = plain_mask(features[index], kernels[index], locations[index], 32.0, (0, 0))
        np.testing.assert_allclose(result[index], expected, atol=1e-9)


def test_objects_drawn_one_by_one_equal_a_perceptron_at_each_cell(rng: np.random.Generator) -> None:
    features, kernels = rng.normal(size=(8, 9, 11)), rng.normal(size=(3, 169))
    locations, sizes = rng.uniform(0, 44, (3, 2)), np.array([32.0, 64.0, 256.0])
    inputs = drawable(torch.from_numpy(features))
    drawer = MaskDrawer.of(kernels, locations, sizes)
    for index, (top, left, bottom, right) in enumerate([(2, 3, 6, 11), (0, 0, 9, 11), (8, 5, 9, 6)]):
        window = (slice(None), slice(top, bottom), slice(left, right))
        drawn = drawer.draw(index, inputs[window])
        own = features[window]
        expected = plain_mask(own, kernels[index], locations[index], sizes[index], (left, top))
        np.testing.assert_allclose(drawn, expected, atol=1e-9)


def test_no_objects() -> None:
    masks = dynamic_masks(torch.zeros(8, 3, 4), torch.zeros(0, 169), torch.zeros(0, 2), torch.zeros(0))
    assert masks.shape == (0, 3, 4)


def test_mask_branch_adds_all_levels_at_stride_4() -> None:
    branch = MaskBranch(one_click_config(pyramid_channels=4)).eval()
    pyramid = [torch.randn(2, 4, 24 // 2**i, 32 // 2**i) for i in range(4)]
    with torch.no_grad():
        whole = branch(pyramid)
        assert whole.shape == (2, 8, 24, 32)
        for level in range(4):
            less = [p if i != level else torch.zeros_like(p) for i, p in enumerate(pyramid)]
            assert not torch.allclose(branch(less), whole)
