"""Masks as polygons, and back."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from scipy import ndimage

from tests.helpers.masks import SMALL, checkerboard, disk, masks, ring, same
from toolkit.errors import InputError
from toolkit.masks import (
    MultiPolygon,
    Polygon,
    coco_polygons_to_rle,
    mask_iou,
    mask_to_polygons,
    mask_to_rle,
    polygons_to_mask,
    rle_to_mask,
)


def test_outline_of_one_pixel_follows_its_edges():
    mask = np.zeros((5, 7), bool)
    mask[2, 3] = True
    (polygon,) = mask_to_polygons(mask)
    assert set(polygon.exterior.coords) == {(3, 2), (4, 2), (4, 3), (3, 3)}
    assert polygon.equals(shapely.box(3, 2, 4, 3))


def test_hole_part_and_diagonal_touch():
    mask = np.zeros((6, 8), bool)
    mask[0:3, 0:3] = True
    mask[1, 1] = False
    mask[3, 3] = True  # touches the frame at the corner (3, 3)
    mask[5, 7] = True
    frame, touching, apart = mask_to_polygons(mask)
    assert frame.equals(Polygon(shapely.box(0, 0, 3, 3).exterior, [shapely.box(1, 1, 2, 2).exterior]))
    assert touching.equals(shapely.box(3, 3, 4, 4))
    assert apart.equals(shapely.box(7, 5, 8, 6))


def test_an_outline_that_meets_itself_at_a_corner_becomes_part_and_hole():
    mask = np.array(
        [[1, 1, 1], [1, 0, 1], [1, 1, 0]], bool
    )  # the hole reaches the outside only at corner (2, 2)
    (polygon,) = mask_to_polygons(mask)
    assert polygon.is_valid
    assert len(polygon.interiors) == 1
    assert polygon.area == 7


@given(masks())
@example(checkerboard(5, 6))
@example(~checkerboard(5, 6))
def test_exact_polygons_round_trip_and_are_valid(mask):
    polygons = mask_to_polygons(mask)
    assert same(polygons_to_mask(polygons, *mask.shape), mask)
    assert same(polygons_to_mask(MultiPolygon(polygons), *mask.shape), mask)
    _, parts = ndimage.label(mask)  # connected by edges
    assert len(polygons) == parts
    assert all(polygon.is_valid for polygon in polygons)
    assert all(
        len(set(ring.coords)) == len(ring.coords) - 1 for polygon in polygons for ring in rings(polygon)
    )
    assert sum(polygon.area for polygon in polygons) == mask.sum()
    # Edges between set and unset pixels, counted on the grid.
    padded = np.pad(mask, 1).astype(int)
    edges = np.abs(np.diff(padded, axis=0)).sum() + np.abs(np.diff(padded, axis=1)).sum()
    assert sum(polygon.length for polygon in polygons) == edges


def rings(polygon: Polygon) -> list:
    return [polygon.exterior, *polygon.interiors]


@given(masks(), st.sampled_from([0.3, 0.5, 1.0, 1.5, 3.0, 20.0]))
def test_simplified_polygons_are_valid_and_stay_within_the_tolerance(mask, tolerance):
    exact, simple = mask_to_polygons(mask), mask_to_polygons(mask, tolerance)
    assert len(simple) == len(exact)
    for before, after in zip(exact, simple, strict=True):
        assert isinstance(after, Polygon)
        assert after.is_valid
        assert after.area > 0
        for ring_before, ring_after in zip(rings(before), rings(after), strict=True):
            assert (
                4 <= len(ring_after.coords) <= len(ring_before.coords)
            )  # closed: the first point comes twice
            assert (
                ring_before.hausdorff_distance(ring_after) <= tolerance + 1e-9 or len(ring_after.coords) <= 5
            )


def test_iou_of_simplified_polygons_on_round_shapes(record_property):
    """What simplification costs, reported: a disk and a ring of 30 px radius keep almost all of it."""
    for name, mask in {"disk": disk(80, 90, 45, 40, 30), "ring": ring(80, 90, 45, 40, 30, 12)}.items():
        points_before = shapely.get_num_coordinates(mask_to_polygons(mask)).sum()
        for tolerance, least in {0.5: 0.99, 1.0: 0.97, 2.0: 0.93}.items():
            polygons = mask_to_polygons(mask, tolerance)
            iou = mask_iou(mask, polygons_to_mask(polygons, *mask.shape))
            record_property(f"{name}, tolerance {tolerance}", iou)
            assert iou > least
            assert shapely.get_num_coordinates(polygons).sum() < points_before


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_filling_sets_the_pixels_whose_centres_lie_inside(seed):
    """Against shapely's point-in-polygon test, for polygons of any slope, partly outside the image."""
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
    points = rng.uniform(-3, 23, 2) + rng.uniform(2, 15, (9, 1)) * np.stack(
        [np.cos(angles), np.sin(angles)], 1
    )
    polygon = Polygon(points)
    if not polygon.is_valid:
        return
    rows, columns = np.mgrid[:19, :23] + 0.5
    expected = shapely.contains_xy(polygon, columns, rows)
    assert same(polygons_to_mask(polygon, 19, 23), expected)


def test_overlapping_polygons_are_united_and_outside_is_cut_off():
    boxes = [shapely.box(-5, -5, 3, 2), shapely.box(2, 1, 100, 100), shapely.box(50, 50, 60, 60), Polygon()]
    expected = np.zeros((4, 5), bool)
    expected[:2, :3] = True
    expected[1:, 2:] = True
    assert same(polygons_to_mask(boxes, 4, 5), expected)
    assert not polygons_to_mask([], 4, 5).any()
    assert not polygons_to_mask(Polygon(), 4, 5).any()


def test_bad_polygon_input():
    with pytest.raises(InputError, match="tolerance"):
        mask_to_polygons(SMALL, -1)
    with pytest.raises(InputError, match="tolerance"):
        mask_to_polygons(SMALL, float("nan"))
    with pytest.raises(InputError, match=r"\[H, W\]"):
        mask_to_polygons(np.zeros((2, 2, 2), bool))
    with pytest.raises(InputError, match="finite"):
        polygons_to_mask(Polygon([(0, 0), (float("nan"), 1), (1, 1)]), 4, 4)


# --- COCO polygons ----------------------------------------------------------------------------------------


def test_coco_polygons_are_rasterised_as_pycocotools_does(rng):
    for _ in range(30):
        segmentation = [
            rng.uniform(-4, 34, 2 * int(rng.integers(3, 8))).tolist() for _ in range(int(rng.integers(1, 4)))
        ]
        reference = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(segmentation, 30, 31)))
        assert same(rle_to_mask(coco_polygons_to_rle(segmentation, 30, 31)), reference.astype(bool))


def test_coco_polygons_unite_and_nothing_gives_an_empty_mask():
    box = [1, 1, 4, 1, 4, 3, 1, 3]
    expected = np.zeros((5, 6), bool)
    expected[1:3, 1:4] = True
    assert same(rle_to_mask(coco_polygons_to_rle([box, box], 5, 6)), expected)
    assert coco_polygons_to_rle([], 5, 6) == mask_to_rle(np.zeros((5, 6), bool))


@pytest.mark.parametrize(
    "ring",
    [
        [1, 1, 4, 1],  # pycocotools would take four numbers for a box
        [1, 1, 4, 1, 4],
        [1, 1, 4, 1, 4, 3, 1],
        [],
        [1, 1, 4, float("nan"), 4, 3],
        [1, 1, 4, 1e12, 4, 3],
        [[1, 1], [4, 1], [4, 3]],
        [1, 1, "a", 1, 4, 3],
        "polygon",
    ],
)
def test_bad_coco_polygons_are_refused_with_their_number(ring):
    with pytest.raises(InputError, match="polygon 1"):
        coco_polygons_to_rle([[1, 1, 4, 1, 4, 3], ring], 5, 6)
