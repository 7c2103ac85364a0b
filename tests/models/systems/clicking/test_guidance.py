"""Maps of clicks: values by hand, and the disk of the click protocols."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from models.systems.clicking.guidance import guidance_maps
from toolkit.clicks import Click, disk_map, gaussian_map
from toolkit.errors import InputError

POINTS = torch.tensor([[[10.5, 7.5, 1.0], [3.5, 12.5, 0.0], [0.0, 0.0, -1.0]]])


def test_disks_are_those_of_the_protocols() -> None:
    maps = guidance_maps(POINTS, 16, 24)
    assert maps.shape == (1, 2, 16, 24)
    assert np.array_equal(maps[0, 0].numpy(), disk_map([Click(10.5, 7.5)], 16, 24))
    assert np.array_equal(maps[0, 1].numpy(), disk_map([Click(3.5, 12.5)], 16, 24))
    assert guidance_maps(POINTS, 20, 20, size=1.0)[0, 0].sum() == 5  # a pixel and its four neighbours


def test_gaussians_are_those_of_the_fusion_paper() -> None:
    two = torch.cat([POINTS, torch.tensor([[[2.0, 3.0, 1.0]]])], dim=1)
    maps = guidance_maps(two, 16, 24, "gaussian")
    expected = gaussian_map([Click(10.5, 7.5), Click(2, 3)], 16, 24)
    assert maps[0, 0].numpy() == pytest.approx(expected, abs=1e-6)
    assert maps[0, 0, 7, 10] == 1
    assert guidance_maps(POINTS, 16, 24, "gaussian", 2.0)[0, 0, 7, 12].item() == pytest.approx(math.exp(-0.5))


def test_distances_are_cut_and_divided() -> None:
    maps = guidance_maps(POINTS, 16, 24, "euclidean", 5.0)
    assert maps[0, 0, 7, 10] == 0
    assert maps[0, 0, 10, 6].item() == pytest.approx(1.0)  # 3, 4: 5 pixels away
    assert maps[0, 0, 7, 13].item() == pytest.approx(3 / 5)
    assert maps[0, 0, 0, 23] == 1


def test_no_point_leaves_nothing() -> None:
    none = torch.full((2, 4, 3), -1.0)
    assert guidance_maps(none, 8, 8).sum() == 0
    assert guidance_maps(none, 8, 8, "gaussian").sum() == 0
    assert (guidance_maps(none, 8, 8, "euclidean") == 1).all()  # far from every point
    assert guidance_maps(none[:, :0], 8, 8).shape == (2, 2, 8, 8)


def test_pictures_of_a_batch_keep_their_points() -> None:
    both = torch.cat([POINTS, POINTS.flip(1).clone()])
    both[1, :, 0] += 4
    maps = guidance_maps(both, 16, 24)
    assert torch.equal(maps[1, :, :, 4:], maps[0, :, :, :-4])


def test_unknown_kinds_are_named() -> None:
    with pytest.raises(InputError, match="guidance 'square': expected one of disk, gaussian, euclidean"):
        guidance_maps(POINTS, 8, 8, "square")  # type: ignore[arg-type]
