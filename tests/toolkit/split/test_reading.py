from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.helpers.splits import HEIGHT, WIDTH, rectangle, uncompressed, write_small_split
from toolkit.errors import InputError
from toolkit.split import Annotation, read_split
from toolkit.split.reading import Malformed


def write_json(folder: Path, **tables: Any) -> Path:
    path = folder / "annotations.json"
    tables = {"images": [], "annotations": [], "categories": [], **tables}
    path.write_text(json.dumps(tables), encoding="utf-8")
    return path


def image(**fields: Any) -> dict[str, Any]:
    return {"id": 1, "file_name": "a.jpg", "width": 8, "height": 6, **fields}


def test_a_split_folder_comes_back_as_written(tmp_path: Path) -> None:
    split = read_split(write_small_split(tmp_path / "split"))
    assert len(split) == 3
    assert [record.file_name for record in split] == ["photo0.png", "photo1.png", "photo2.png"]
    record = split.images[1]
    assert (record.id, record.width, record.height, record.license, record.source) == (2, 80, 60, 1, "numpy")
    assert record.extra == {"date_captured": "2020-01-01"}
    annotations = split.annotations_of(2)
    assert [a.id for a in annotations] == [6, 7, 8, 9, 10]
    assert [a.group_id for a in annotations] == [1, 1, 2, 2, None]
    assert [a.iscrowd for a in annotations] == [0, 0, 0, 0, 1]
    assert annotations[1].origin == {"kind": "pasted", "from": {"image": "elsewhere.jpg", "annotation": 5}}
    assert annotations[2].extra == {"score": 0.5}
    assert annotations[2].area == 120
    assert annotations[2].bbox == (8, 34, 10, 12)
    assert split.category_names == {3: "disc", 7: "square"}
    assert split.licenses[0]["name"] == "CC0"
    assert split.card["counts"] == {"images": 3, "annotations": 15, "crowds": 3, "groups": 6, "categories": 2}
    assert split.open_image(record).shape == (60, 80, 3)


def test_masks_of_every_form_decode_as_drawn(tmp_path: Path) -> None:
    split = read_split(write_small_split(tmp_path / "split"))
    first, ring, square, pair, crowd = (a.mask(HEIGHT, WIDTH) for a in split.annotations_of(1))
    assert first[14, 12]
    assert not ring[14, 40]
    assert ring[14, 47]
    assert square.sum() == 120
    assert square[34:46, 8:18].all()
    assert pair.sum() == 120
    assert pair[40, 32]
    assert pair[40, 45]
    assert not pair[40, 38]
    assert crowd.sum() == 200
    assert crowd[50:, 60:].all()


def test_columns_hold_the_numbers_of_the_records(tmp_path: Path) -> None:
    split = read_split(write_small_split(tmp_path / "split"))
    columns = split.annotation_columns
    for index, annotation in enumerate(split.annotations):
        assert columns.id[index] == annotation.id
        assert columns.image_id[index] == annotation.image_id
        assert columns.category_id[index] == annotation.category_id
        assert columns.area[index] == annotation.area
        assert tuple(columns.bbox[index]) == annotation.bbox
        assert columns.group_id[index] == (-1 if annotation.group_id is None else annotation.group_id)
    assert columns.iscrowd.sum() == 3


def test_coco_as_published(tmp_path: Path) -> None:
    # instances_val2017.json beside the folder of photos, as COCO unpacks.
    (tmp_path / "annotations").mkdir()
    (tmp_path / "val2017").mkdir()
    (tmp_path / "val2017" / "000000000139.jpg").write_bytes(b"")
    crowd = np.zeros((6, 8), bool)
    crowd[2:4, 3:7] = True
    compressed = coco_mask.encode(np.asfortranarray(crowd.astype(np.uint8)))
    path = tmp_path / "annotations" / "instances_val2017.json"
    annotation = {"image_id": 139, "category_id": 62, "bbox": [1.0, 1.0, 3.0, 2.0], "area": 6.0, "iscrowd": 0}
    tables = {
        "info": {"year": 2017},
        "licenses": [{"id": 2, "name": "BY-NC", "url": "u"}],
        "images": [
            image(
                id=139, file_name="000000000139.jpg", license=2, coco_url="http://x/val2017/000000000139.jpg"
            ),
        ],
        "annotations": [
            {**annotation, "id": 1768, "segmentation": [rectangle(1, 1, 3, 2)]},
            {**annotation, "id": 1769, "segmentation": uncompressed(crowd), "iscrowd": 1},
            {
                **annotation,
                "id": 1770,
                "segmentation": {"size": [6, 8], "counts": compressed["counts"].decode()},
            },
        ],
        "categories": [{"supercategory": "furniture", "id": 62, "name": "chair"}],
    }
    path.write_text(json.dumps(tables))
    split = read_split(path)
    assert split.image_path(split.images[0]) == tmp_path / "val2017" / "000000000139.jpg"
    assert split.images[0].extra["coco_url"] == "http://x/val2017/000000000139.jpg"
    polygon, loose, tight = split.annotations_of(139)
    expected = np.zeros((6, 8), bool)
    expected[1:3, 1:4] = True
    np.testing.assert_array_equal(polygon.mask(6, 8), expected)
    np.testing.assert_array_equal(loose.mask(6, 8), crowd)
    np.testing.assert_array_equal(tight.mask(6, 8), crowd)
    assert isinstance(loose.segmentation, dict)
    assert isinstance(loose.segmentation["counts"], list)
    assert loose.iscrowd == 1


def test_lvis_as_published(tmp_path: Path) -> None:
    lvis_image = image(id=391895, coco_url="http://images.cocodataset.org/train2017/000000391895.jpg")
    del lvis_image["file_name"]
    lvis_image |= {"neg_category_ids": [5, 9], "not_exhaustive_category_ids": [3], "flickr_url": "f"}
    category = {
        "id": 3,
        "name": "cone",
        "frequency": "r",
        "synset": "cone.n.01",
        "synonyms": ["cone"],
        "def": "d",
    }
    annotation = {"id": 1, "image_id": 391895, "category_id": 3, "area": 4.0, "bbox": [0, 0, 2, 2]}
    annotation["segmentation"] = [rectangle(0, 0, 2, 2)]
    split = read_split(
        write_json(tmp_path, images=[lvis_image], annotations=[annotation], categories=[category])
    )
    record = split.images[0]
    assert record.file_name == "train2017/000000391895.jpg"
    assert record.extra["neg_category_ids"] == [5, 9]
    assert record.extra["not_exhaustive_category_ids"] == [3]
    assert split.categories == [category]
    # All photos in one folder, as many keep them.
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "000000391895.jpg").write_bytes(b"")
    assert split.image_path(record) == tmp_path / "images" / "000000391895.jpg"


def test_annotations_of_are_those_of_the_image_in_file_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    owners = rng.integers(1, 6, 40).tolist()
    records = [{"id": i, "image_id": owner, "category_id": 1} for i, owner in enumerate(owners)]
    images = [image(id=i, file_name=f"{i}.jpg") for i in (5, 2, 1, 4, 9)]
    split = read_split(write_json(tmp_path, images=images, annotations=records))
    for image_id in (1, 2, 4, 5):
        assert [a.id for a in split.annotations_of(image_id)] == [
            i for i, owner in enumerate(owners) if owner == image_id
        ]
    assert split.annotations_of(9) == []
    assert split.image(9).file_name == "9.jpg"
    with pytest.raises(InputError, match="no image with id 77"):
        split.image(77)


def test_a_subset_keeps_its_images_and_their_annotations_only(tmp_path: Path) -> None:
    split = read_split(write_small_split(tmp_path / "split", images=4))
    part = split.subset([3, 1])
    assert [record.file_name for record in part] == ["photo3.png", "photo1.png"]
    assert [a.id for a in part.annotations] == [6, 7, 8, 9, 10, 16, 17, 18, 19, 20]
    assert part.annotations_of(4) == split.annotations_of(4)
    assert part.annotations_of(1) == []
    assert part.subset([1]).images[0] == split.images[1]


def test_a_split_travels_to_another_process(tmp_path: Path) -> None:
    split = read_split(write_small_split(tmp_path / "split"))
    again = pickle.loads(pickle.dumps(split))  # noqa: S301 - our own bytes
    assert again.annotations_of(2) == split.annotations_of(2)
    assert list(again) == list(split)


def test_a_byte_order_mark_and_odd_spacing_do_no_harm(tmp_path: Path) -> None:
    text = """\ufeff { "images" :\n[ {"id":1,"file_name":"ä.jpg","width":8,"height":6.0} ,
        {"id":2,"file_name":"b","width":1,"height":1}\t] , "annotations": [

        {"id":7,"image_id":2,"nested":[{"a":"},{"},{}]} ] }"""
    (tmp_path / "annotations.json").write_text(text, encoding="utf-8")
    split = read_split(tmp_path)
    assert [record.file_name for record in split] == ["ä.jpg", "b"]
    assert split.images[0].height == 6
    assert split.annotations_of(2) == [Annotation(7, 2, extra={"nested": [{"a": "},{"}, {}]})]


def test_null_tables_are_empty(tmp_path: Path) -> None:
    split = read_split(write_json(tmp_path, images=[image()], annotations=None, categories=None))
    assert split.annotations_of(1) == []
    assert split.categories == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("{", "not valid JSON"),
        ('{"images": [{"id": 1', "not valid JSON"),
        ('{"images": [], "info": {"year": 2017}', "not valid JSON"),
        ('{"images": [{"id": 1, "file_name": "a", "width": 1, "height": 1}, ]}', "not valid JSON"),
        ('{"images": []} {}', "not valid JSON"),
        ('{"images": [], "x": nonsense}', "not valid JSON"),
        ('{"images": [], x: 1}', "not valid JSON"),
        ('{"images": [] "x": 1}', "not valid JSON"),
        ('{"images": [}', "not valid JSON"),
        ("[]", "expected a JSON object"),
        ("{}", "no list 'images'"),
        ('{"images": {"id": 1}}', "expected 'images' to be a list"),
        ('{"images": [{"id": 1, "file_name": "a"}]}', r"images\[0\]: .*width"),
        ('{"images": [{"id": "1", "file_name": "a", "width": 1, "height": 1}]}', r"images\[0\]: .*int"),
        ('{"images": [{"id": 1, "width": 1, "height": 1}]}', "neither `file_name` nor `coco_url`"),
        ('{"images": [{"id": 1, "file_name": "a", "width": 0, "height": 1}]}', "size in pixels"),
        ('{"images": [], "annotations": [{"id": 1}]}', r"annotations\[0\]: .*image_id"),
        ('{"images": [], "annotations": [{"id": 1, "image_id": 1}, 5]}', r"annotations\[1\]"),
        ('{"images": [], "categories": [{"name": "x"}]}', r"categories\[0\]"),
    ],
)
def test_what_is_no_split_is_refused_in_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "annotations.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_split(tmp_path)


def test_a_missing_file_or_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_split(tmp_path / "nothing.json")
    with pytest.raises(InputError, match=r"annotations\.json"):
        read_split(tmp_path)


def test_malformed_records_are_collected_where_asked(tmp_path: Path) -> None:
    records = [{"id": i, "image_id": 1, "category_id": 1} for i in range(6)]
    records[2] = {"id": 2, "category_id": 1}
    records[4]["area"] = "large"
    malformed: list[Malformed] = []
    split = read_split(write_json(tmp_path, images=[image()], annotations=records), malformed=malformed)
    assert [a.id for a in split.annotations_of(1)] == [0, 1, 3, 5]
    assert [(m.table, m.index) for m in malformed] == [("annotations", 2), ("annotations", 4)]
    assert "image_id" in malformed[0].problem
    assert "area" in malformed[1].problem


@pytest.mark.parametrize(
    "name", ["../outside.jpg", "/etc/passwd", "a/../../b.jpg", "C:\\x.jpg", "..\\x.jpg", ""]
)
def test_file_names_stay_below_the_image_folder(tmp_path: Path, name: str) -> None:
    split = read_split(write_json(tmp_path, images=[image(file_name=name)]))
    with pytest.raises(InputError, match="below the image folder"):
        split.image_path(split.images[0])


def test_a_mask_of_another_size_is_refused() -> None:
    annotation = Annotation(4, 1, 1, segmentation={"size": [6, 8], "counts": "P1"})
    with pytest.raises(InputError, match=r"annotation 4: .*\[6, 8\], expected \[8, 6\]"):
        annotation.mask(8, 6)


def test_an_annotation_without_segmentation_has_an_empty_mask() -> None:
    assert not Annotation(segmentation=None).mask(4, 5).any()
    assert not Annotation(segmentation=[]).mask(4, 5).any()
