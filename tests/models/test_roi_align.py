"""RoI-Align against a direct bilinear computation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from models.roi_align import boxes_of_masks, roi_align, square_boxes


def bilinear(feature: np.ndarray, x: float, y: float) -> np.ndarray:
    """Value [C] at a place given in cells, where (0, 0) is the first cell's centre; the border repeats."""
    height, width = feature.shape[1:]
    left, top = math.floor(x), math.floor(y)
    value = np.zeros(feature.shape[0])
    for row, weight_y in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, weight_x in ((left, 1 - (x - left)), (left + 1, x - left)):
            r, c = min(max(row, 0), height - 1), min(max(column, 0), width - 1)
            value += weight_y * weight_x * feature[:, r, c]
    return value


def direct(feature: np.ndarray, box: np.ndarray, stride: float, size: int, sampling: int) -> np.ndarray:
    x1, y1, x2, y2 = box
    bins = np.zeros((feature.shape[0], size, size))
    for i in range(size):
        for j in range(size):
            samples = []
            for a in range(sampling):
                for b in range(sampling):
                    y = y1 + (y2 - y1) * (i + (a + 0.5) / sampling) / size
                    x = x1 + (x2 - x1) * (j + (b + 0.5) / sampling) / size
                    samples.append(bilinear(feature, x / stride - 0.5, y / stride - 0.5))
            bins[:, i, j] = np.mean(samples, axis=0)
    return bins


@pytest.mark.parametrize(("stride", "size", "sampling"), [(1, 3, 2), (4, 3, 2), (8, 5, 1), (4, 2, 4)])
def test_equals_direct_sampling(rng: np.random.Generator, stride: int, size: int, sampling: int) -> None:
    feature = rng.normal(size=(3, 7, 9))
    corners = rng.uniform(-4, 11, (6, 2, 2)) * stride  # some reach beyond the map
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1)
    result = roi_align(torch.from_numpy(feature), torch.from_numpy(boxes), stride, size, sampling)
    assert result.shape == (6, 3, size, size)
    for box, values in zip(boxes, result.numpy(), strict=True):
        np.testing.assert_allclose(values, direct(feature, box, stride, size, sampling), atol=1e-9)


def test_a_box_on_the_cells_reads_the_cells() -> None:
    feature = torch.arange(24.0).view(1, 4, 6)
    box = torch.tensor([[8.0, 4.0, 20.0, 16.0]])  # columns 2–4, rows 1–3 at stride 4
    expected = torch.tensor([[[[8.0, 9, 10], [14, 15, 16], [20, 21, 22]]]])
    torch.testing.assert_close(roi_align(feature, box, 4, 3, sampling=1), expected)


def test_gradients(rng: np.random.Generator) -> None:
    feature = torch.from_numpy(rng.normal(size=(2, 5, 6))).requires_grad_()
    # off the cells' centres, where the interpolation has kinks
    boxes = torch.tensor([[1.3, 2.1, 14.7, 17.9], [-3.1, 4.2, 9.7, 30.3]], dtype=torch.float64)
    boxes.requires_grad_()
    assert torch.autograd.gradcheck(lambda f, b: roi_align(f, b, 4, 2), (feature, boxes))


def test_square_boxes() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 4.0], [2.0, 2.0, 4.0, 8.0], [1.0, 1.0, 3.0, 3.0]])
    expected = torch.tensor([[0.0, -3.0, 10.0, 7.0], [0.0, 2.0, 6.0, 8.0], [1.0, 1.0, 3.0, 3.0]])
    assert torch.equal(square_boxes(boxes), expected)


def test_boxes_of_masks() -> None:
    masks = torch.zeros(3, 5, 7)
    masks[0, 1:3, 2:6] = 1
    masks[1, 4, 6] = 0.1
    expected = torch.tensor([[2.0, 1.0, 6.0, 3.0], [6.0, 4.0, 7.0, 5.0], [0.0, 0.0, 0.0, 0.0]])
    assert torch.equal(boxes_of_masks(masks), expected)
