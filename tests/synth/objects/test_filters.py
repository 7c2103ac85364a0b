"""Which objects are fit to be copied."""

import numpy as np
import pytest

from synth.objects.filters import (
    CROWD,
    CUT_OFF,
    IN_PARTS,
    NO_MASK,
    OCCLUDED,
    SMALL,
    mask_fault,
    outer_outline,
    record_faults,
    region_under,
)
from synth.settings import ObjectSettings
from toolkit.blending import PlacedMask
from toolkit.split import Annotation
from toolkit.split.columns import annotation_columns

SETTINGS = ObjectSettings(min_side=8, border=2)


def faults_of(**fields):
    columns = annotation_columns([Annotation(id=1, image_id=1, category_id=1, **fields)])
    faults = record_faults(columns, np.array([100]), np.array([80]), SETTINGS)
    return {reason for reason, fault in faults.items() if fault[0]}


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        ({"bbox": (10, 10, 20, 20), "area": 300.0}, set()),
        ({"bbox": (10, 10, 7, 20), "area": 100.0}, {SMALL}),
        ({"bbox": (1, 10, 20, 20), "area": 300.0}, {CUT_OFF}),
        ({"bbox": (2, 10, 20, 20), "area": 300.0}, set()),
        ({"bbox": (79, 10, 20, 20), "area": 300.0}, {CUT_OFF}),
        ({"bbox": (10, 59, 20, 20), "area": 300.0}, {CUT_OFF}),
        ({"bbox": (10, 10, 20, 20), "area": 300.0, "iscrowd": 1}, {CROWD}),
        ({"bbox": None, "area": 300.0}, {NO_MASK}),
        ({"bbox": (10, 10, 20, 20), "area": 0.0}, {NO_MASK}),
    ],
)
def test_records(fields, reasons):
    assert faults_of(**fields) == reasons


def square(left, top, size):
    return PlacedMask(left, top, np.ones((size, size), bool))


def test_an_object_is_occluded_when_another_lies_along_its_outline():
    assert mask_fault(square(20, 20, 20), [], SETTINGS) is None
    assert mask_fault(square(20, 20, 20), [square(60, 20, 20)], SETTINGS) is None
    around = PlacedMask(10, 10, np.pad(np.zeros((20, 20), bool), 10, constant_values=True))
    assert mask_fault(square(20, 20, 20), [around], SETTINGS) == OCCLUDED
    # along one of four sides: just about the quarter that is allowed
    beside = PlacedMask(40, 25, np.ones((8, 20), bool))
    assert mask_fault(square(20, 20, 20), [beside], SETTINGS) is None


def test_parts_that_lie_apart():
    mask = np.ones((10, 30), bool)
    mask[:, 14:17] = False
    assert mask_fault(PlacedMask(5, 5, mask), [], SETTINGS) == IN_PARTS
    mask[:, 4:] = True
    mask[:, 2:3] = False  # a tenth of it apart: a detail
    assert mask_fault(PlacedMask(5, 5, mask), [], SETTINGS) is None


def test_the_outline_surrounds_the_mask():
    ring = outer_outline(square(10, 10, 4), width=1)
    assert (ring.left, ring.top, ring.mask.shape) == (9, 9, (6, 6))
    assert ring.area == 16  # four along each side; a cross-shaped neighbourhood leaves the corners
    assert not ring.mask[1:5, 1:5].any()


def test_the_region_under_an_object_is_the_one_around_it():
    regions = np.full((60, 60), 1, np.uint8)
    regions[:30] = 3
    regions[40:50, 20:30] = 0  # segmentation sees the object itself as "other"
    assert region_under(square(20, 40, 10), regions) == 1
    assert region_under(square(20, 5, 10), regions) == 3
    checker = np.indices((60, 60)).sum(axis=0).astype(np.uint8) % 3
    assert region_under(square(20, 20, 10), checker) == -1
    assert region_under(square(0, 50, 10), regions) == 1  # at the photo's corner
