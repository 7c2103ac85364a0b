from __future__ import annotations

import numpy as np
import pytest
import torch

from models.systems.clicking.crops import Crop
from models.systems.icmformer_pp.exemplar import PSEUDO, chosen_points, no_exemplar, outside_of
from models.systems.icmformer_pp.stepper import exemplar_input
from toolkit.clicks import Click
from toolkit.exemplars import Exemplar

KINDS = [0.0, 1.0, PSEUDO, 1.0, -1.0]


@pytest.mark.parametrize(
    ("positives", "negatives", "expected"),
    [
        ("all", "true", [0, 1, -1, 1, -1]),
        ("first", "true", [0, 1, -1, -1, -1]),
        ("none", "true", [0, -1, -1, -1, -1]),
        ("all", "all", [0, 1, 0, 1, -1]),
        ("all", "none", [-1, 1, -1, 1, -1]),
    ],
)
def test_the_rows_of_the_click_tables(positives: str, negatives: str, expected: list[float]) -> None:
    points = torch.tensor([[[10.0 * i, 5.0, kind] for i, kind in enumerate(KINDS)]])
    chosen = chosen_points(points, positives, negatives)  # type: ignore[arg-type]
    assert chosen[0, :, 2].tolist() == expected
    assert torch.equal(chosen[..., :2], points[..., :2])


def test_outside_of_a_box() -> None:
    outside = outside_of(torch.tensor([[1.0, 0.0, 3.0, 2.0], [0.4, 0.4, 1.6, 3.0]]), 3, 4)
    assert (~outside[0, 0]).nonzero().tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
    assert (~outside[1, 0]).nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [2, 0], [2, 1]]


def test_exemplars_of_a_photo_become_one_input() -> None:
    first, second = np.zeros((20, 40), bool), np.zeros((20, 40), bool)
    first[4:8, 8:12] = True
    second[10:14, 30:40] = True
    exemplars = [
        Exemplar(first, (Click(10, 6), Click(2, 2, positive=False)), (Click(35, 12, positive=False),)),
        Exemplar(second, (Click(34, 11),)),
    ]
    found = exemplar_input(exemplars, Crop(0, 0, 20, 40), (10, 20), (32, 32))  # at half size, padded
    expected = torch.zeros(1, 1, 32, 32)
    expected[0, 0, 2:4, 4:6] = 1
    expected[0, 0, 5:7, 15:20] = 1
    assert torch.equal(found.mask, expected)
    assert found.points[0].tolist() == [[5, 3, 1], [1, 1, 0], [17, 5.5, 1], [17.5, 6, PSEUDO]]
    assert found.boxes.tolist() == [[4, 2, 20, 7]]
    right = exemplar_input(exemplars, Crop(0, 20, 20, 20), (20, 20), (32, 32))  # the right half of the photo
    assert right.boxes.tolist() == [[10, 10, 20, 14]]
    assert right.points[0, 2].tolist() == [14, 11, 1]


def test_no_exemplar_is_empty() -> None:
    image = torch.zeros(2, 3, 32, 64, dtype=torch.uint8)
    nothing, none_given = no_exemplar(image), exemplar_input([], Crop(0, 0, 32, 64), (32, 64), (32, 64))
    for found in (nothing, none_given):
        assert not found.mask.any()
        assert not found.boxes.any()
        assert (found.points[..., 2] < 0).all()
