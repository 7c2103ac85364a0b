from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO

from tests.helpers.masks import masks
from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.files import write_json_atomic
from toolkit.masks import mask_box
from toolkit.selection import Instance, selection_from_coco, selection_to_coco


def pair() -> list[Instance]:
    first, second = np.zeros((4, 6), bool), np.zeros((4, 6), bool)
    first[1:3, 2:5] = True
    second[0, 0] = second[3, 5] = True
    return [
        Instance(first, (2.0, 1.0, 5.0, 3.0), 0.75, Click(3.5, 1.25), group=2),
        Instance(second, (0.0, 0.0, 5.5, 4.0), 0.5),
    ]


def test_the_file_holds_what_coco_asks_for_and_what_is_ours():
    coco = selection_to_coco(pair(), "photo.jpg", 4, 6)
    assert coco["images"] == [{"id": 1, "file_name": "photo.jpg", "height": 4, "width": 6}]
    assert [category["id"] for category in coco["categories"]] == [1]
    first, second = coco["annotations"]
    assert first == {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "segmentation": first["segmentation"],
        "bbox": [2, 1, 3, 2],
        "area": 6,
        "iscrowd": 0,
        "score": 0.75,
        "group_id": 2,
        "click": {"x": 3.5, "y": 1.25, "positive": True},
    }
    assert second["bbox"] == [0, 0, 5.5, 4]
    assert second["area"] == 2
    assert "group_id" not in second
    assert "click" not in second


def test_pycocotools_loads_the_file_and_sees_the_same_masks(tmp_path):
    selection = pair()
    write_json_atomic(tmp_path / "selection.json", selection_to_coco(selection, "photo.jpg", 4, 6))
    coco = COCO(str(tmp_path / "selection.json"))
    for instance, annotation in zip(selection, coco.loadAnns(coco.getAnnIds()), strict=True):
        np.testing.assert_array_equal(coco.annToMask(annotation), instance.mask)


@given(st.lists(masks(max_side=8), max_size=3), st.data())
def test_round_trip_through_json(shapes, data):
    shapes = [mask for mask in shapes if mask.shape == shapes[0].shape]
    height, width = shapes[0].shape if shapes else (3, 5)
    coordinate = st.floats(0, 8, allow_nan=False)
    selection = [
        Instance(
            mask,
            mask_box(mask),
            data.draw(st.floats(0, 1)),
            data.draw(st.none() | st.builds(Click, coordinate, coordinate, st.booleans())),
            data.draw(st.none() | st.integers(0, 5)),
        )
        for mask in shapes
    ]
    coco = json.loads(json.dumps(selection_to_coco(selection, "ü.png", height, width)))
    back = selection_from_coco(coco)
    assert len(back) == len(selection)
    for before, after in zip(selection, back, strict=True):
        np.testing.assert_array_equal(before.mask, after.mask)
        assert after.mask.dtype == np.bool_
        assert before.box == after.box
        assert (before.score, before.click, before.group) == (after.score, after.click, after.group)


def test_numpy_numbers_become_plain_ones():
    (instance, _) = pair()
    instance = Instance(
        instance.mask, tuple(np.float32([2, 1, 5, 3])), np.float32(0.5), Click(np.float64(1), 2), np.int64(1)
    )
    json.dumps(selection_to_coco([instance], "photo.jpg", 4, 6))


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(InputError, match=r"mask 1 is \(4, 6\), but photo.jpg is \(6, 4\)"):
        selection_to_coco(pair(), "photo.jpg", 6, 4)


@pytest.mark.parametrize(
    "change",
    [
        {"segmentation": {"size": [4, 6], "counts": "1"}},
        {"segmentation": "none"},
        {"bbox": [1, 2, 3]},
        {"bbox": None},
        {"click": {"x": 1}},
        {"click": [1, 2]},
        {"score": "high"},
    ],
)
def test_a_damaged_annotation_is_named(change):
    coco = selection_to_coco(pair(), "photo.jpg", 4, 6)
    coco["annotations"][1].update(change)
    with pytest.raises(InputError, match="annotation 2"):
        selection_from_coco(coco)


@pytest.mark.parametrize("images", [None, [], [{}, {}], {}])
def test_a_file_of_another_number_of_photos_is_refused(images):
    with pytest.raises(InputError, match="exactly one"):
        selection_from_coco({"images": images, "annotations": []})
