"""Which location learns which object."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.one_click.assign import assign_locations, level_locations, level_of_boxes

SHAPES = [(16, 16), (8, 8), (4, 4), (2, 2)]  # of a 64 px picture


def assigned_points(boxes: list, centers: list, shapes: list[tuple[int, int]] = SHAPES) -> list[set]:
    """For each object, the (level, x, y) that learn it."""
    points, levels = level_locations(shapes)
    owner = assign_locations(
        torch.tensor(boxes).float().view(-1, 4), torch.tensor(centers).float().view(-1, 2), points, levels
    )
    found: list[set] = [set() for _ in boxes]
    for index in (owner >= 0).nonzero()[:, 0].tolist():
        found[int(owner[index])].add((int(levels[index]), *points[index].tolist()))
    return found


@pytest.mark.parametrize(
    ("side", "level"),
    [(1, 0), (64, 0), (64.01, 1), (65, 1), (128, 1), (128.5, 2), (256, 2), (257, 3), (4000, 3)],
)
def test_level_by_the_larger_side(side: float, level: int) -> None:
    boxes = torch.tensor([[5, 7, 5 + side, 8], [5, 7, 6, 7 + side], [0, 0, side, side]])
    assert level_of_boxes(boxes).tolist() == [level] * 3


def test_locations_are_cell_centers_row_by_row() -> None:
    points, levels = level_locations([(2, 3), (1, 2), (1, 1), (1, 1)])
    expected = [(2, 2), (6, 2), (10, 2), (2, 6), (6, 6), (10, 6), (4, 4), (12, 4), (8, 8), (16, 16)]
    assert points.tolist() == [list(map(float, p)) for p in expected]
    assert levels.tolist() == [0] * 6 + [1] * 2 + [2, 3]


def test_center_radius_is_less_than_one_and_a_half_strides() -> None:
    # 6 px on P2: of x = 14, 18, 22, 26 around 20, the first and the last lie exactly 6 px away
    assert assigned_points([(0, 0, 40, 40)], [(20, 20)]) == [{(0, x, y) for x in (18, 22) for y in (18, 22)}]
    assert assigned_points([(0, 0, 40, 40)], [(19, 20)]) == [
        {(0, x, y) for x in (14, 18, 22) for y in (18, 22)}
    ]
    # 12 px on P3: y = 20 and 44 lie exactly 12 px away
    points = [(1, x, y) for x in (28, 36, 44) for y in (28, 36)]
    assert assigned_points([(0, 0, 60, 100)], [(36.5, 32)]) == [set(points)]


def test_locations_outside_the_box_or_on_its_border_are_no_positives() -> None:
    # the centre of mass of a crescent lies near the side of its box
    assert assigned_points([(0, 0, 22, 40)], [(20, 20)]) == [{(0, 18, 18), (0, 18, 22)}]
    assert assigned_points([(18, 17.5, 40, 40)], [(20, 20)]) == [{(0, 22, 18), (0, 22, 22)}]


def test_a_tie_goes_to_the_smaller_box() -> None:
    big, small = (0, 0, 60, 60), (15, 15, 25, 25)
    for boxes, centers, of_small in (
        ([big, small], [(24, 24), (20, 20)], 1),
        ([small, big], [(20, 20), (24, 24)], 0),
    ):
        found = assigned_points(boxes, centers)
        assert found[of_small] == {(0, x, y) for x in (18, 22) for y in (18, 22)}
        assert found[1 - of_small] == {(0, 22, 26), (0, 26, 22), (0, 26, 26)}  # (22, 22) is the small one's


def test_no_objects() -> None:
    points, levels = level_locations(SHAPES)
    assert (assign_locations(torch.zeros(0, 4), torch.zeros(0, 2), points, levels) == -1).all()


def test_equals_a_plain_loop(rng: np.random.Generator) -> None:
    corners = rng.uniform(0, 300, (40, 2))
    sides = rng.uniform(4, 200, (40, 2))
    boxes = np.concatenate([corners, corners + sides], 1).astype(np.float32)
    centers = (corners + sides * rng.uniform(0.2, 0.8, (40, 2))).astype(np.float32)
    points, levels = level_locations([(80, 80), (40, 40), (20, 20), (10, 10)])
    owner = assign_locations(torch.from_numpy(boxes), torch.from_numpy(centers), points, levels).tolist()
    limits = [(0, 64), (64, 128), (128, 256), (256, 1e9)]
    assert len(set(owner)) > 30
    for (x, y), level, found in zip(points.tolist(), levels.tolist(), owner, strict=True):
        best, smallest = -1, float("inf")
        for index, ((x1, y1, x2, y2), (cx, cy)) in enumerate(
            zip(boxes.tolist(), centers.tolist(), strict=True)
        ):
            low, high = limits[level]
            reach = 1.5 * 4 * 2**level
            area = (x2 - x1) * (y2 - y1)
            if (
                low < max(x2 - x1, y2 - y1) <= high
                and x1 < x < x2
                and y1 < y < y2
                and abs(x - cx) < reach
                and abs(y - cy) < reach
                and area < smallest
            ):
                best, smallest = index, area
        assert found == best
