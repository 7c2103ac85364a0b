from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import yaml
from lvis import LVIS
from PIL import Image
from pycocotools.coco import COCO

from tests.helpers.splits import HEIGHT, WIDTH, content, photo, rectangle, write_small_split
from toolkit import masks
from toolkit.errors import InputError
from toolkit.split import Annotation, SplitWriter, read_split


def test_pycocotools_and_lvis_load_what_is_written(tmp_path: Path, rng: np.random.Generator) -> None:
    root = write_small_split(tmp_path / "split")
    split = read_split(root)
    coco, lvis = COCO(str(root / "annotations.json")), LVIS(str(root / "annotations.json"))
    assert sorted(coco.getImgIds()) == sorted(lvis.get_img_ids()) == [1, 2, 3]
    assert sorted(coco.getAnnIds()) == sorted(lvis.get_ann_ids()) == list(range(1, 16))
    assert coco.getAnnIds(imgIds=[2], iscrowd=True) == [10]
    assert sorted(coco.getCatIds()) == sorted(lvis.get_cat_ids()) == [3, 7]
    for annotation in split.annotations:
        ours = annotation.mask(HEIGHT, WIDTH)
        theirs = coco.annToMask(coco.anns[annotation.id]).astype(bool)
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(ours, lvis.ann_to_mask(lvis.anns[annotation.id]).astype(bool))
        assert coco.anns[annotation.id]["area"] == theirs.sum()


def test_a_split_written_again_is_the_same(tmp_path: Path) -> None:
    split = read_split(write_small_split(tmp_path / "a"))
    with SplitWriter(
        tmp_path / "b", categories=split.categories, info=split.info, licenses=split.licenses, card=split.card
    ) as writer:
        for record in split:
            writer.add_record(record, split.image_path(record), split.annotations_of(record.id))
    again = read_split(tmp_path / "b")
    assert content(again) == content(split)
    for name in ("annotations.json", "card.yaml", "images/photo1.png"):
        assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "a" / name).read_bytes()


def test_image_files_are_copied_byte_by_byte(tmp_path: Path, rng: np.random.Generator) -> None:
    source = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[274] = 6  # turned by a quarter: stored 80 × 60, shown 60 × 80
    Image.fromarray(photo(rng)).save(source, exif=exif)
    with SplitWriter(tmp_path / "split") as writer:
        record = writer.add_image(source)
        from_bytes = writer.add_image(source.read_bytes(), file_name="sub/b.jpg")
    assert (record.width, record.height) == (60, 80) == (from_bytes.width, from_bytes.height)
    digest = hashlib.sha256(source.read_bytes()).digest()
    for name in ("photo.jpg", "sub/b.jpg"):
        assert hashlib.sha256((tmp_path / "split" / "images" / name).read_bytes()).digest() == digest


def test_linked_images_share_their_file(tmp_path: Path, rng: np.random.Generator) -> None:
    source = tmp_path / "photo.png"
    Image.fromarray(photo(rng)).save(source)
    with SplitWriter(tmp_path / "split", link=True) as writer:
        writer.add_image(source)
    assert (tmp_path / "split" / "images" / "photo.png").samefile(source)


def test_regions_lie_beside_the_image(tmp_path: Path, rng: np.random.Generator) -> None:
    regions = rng.integers(0, 7, (HEIGHT, WIDTH)).astype(np.uint8)
    with SplitWriter(tmp_path / "a") as writer:
        writer.add_image(photo(rng), file_name="x/1.png", regions=regions)
    split = read_split(tmp_path / "a")
    assert split.images[0].regions == "x/1.regions.png"
    path = split.regions_path(split.images[0])
    assert path is not None
    np.testing.assert_array_equal(np.array(Image.open(path)), regions)


def test_box_and_area_are_filled_in_and_numpy_values_written(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[10:14, 20:27] = True
    rle = masks.mask_to_rle(mask)
    with SplitWriter(tmp_path / "split") as writer:
        thing = writer.add_category("thing", supercategory="any")
        assert writer.add_category("thing") == thing == 1
        writer.add_image(
            photo(rng),
            [
                Annotation(category_id=thing, segmentation=rle),
                Annotation(category_id=thing, segmentation=[rectangle(1, 2, 3, 4)], area=np.float64(11.5)),
                {
                    "category_id": 1,
                    "segmentation": {**rle, "counts": rle["counts"].encode()},
                    "group_id": np.int64(4),
                },
            ],
        )
    first, second, third = read_split(tmp_path / "split").annotations_of(1)
    assert (first.bbox, first.area) == ((20, 10, 7, 4), 28)
    assert (second.bbox, second.area) == ((1, 2, 3, 4), 11.5)
    assert (third.segmentation, third.group_id) == (rle, 4)


def test_ids_given_are_kept_and_the_others_fill_the_gaps(tmp_path: Path, rng: np.random.Generator) -> None:
    with SplitWriter(tmp_path / "split") as writer:
        assert writer.add_image(photo(rng), id=2).id == 2
        assert writer.add_image(photo(rng)).id == 1
        assert writer.add_image(photo(rng)).id == 3
        assert writer.add_image(photo(rng), id=0, file_name="zero.jpg").id == 0
        with pytest.raises(InputError, match="two images have the id 3"):
            writer.add_image(photo(rng), id=3)
        with pytest.raises(InputError, match=r"two images are named zero\.jpg"):
            writer.add_image(photo(rng), file_name="zero.jpg")


def test_nothing_is_finished_when_the_work_breaks_off(tmp_path: Path, rng: np.random.Generator) -> None:
    def break_off() -> None:
        with SplitWriter(tmp_path / "split") as writer:
            writer.add_image(photo(rng))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert [path.name for path in (tmp_path / "split").iterdir()] == ["images"]
    with SplitWriter(tmp_path / "split") as writer:  # and it can be run again
        writer.add_image(photo(rng))
    assert len(read_split(tmp_path / "split")) == 1


def test_a_finished_split_is_not_overwritten_by_accident(tmp_path: Path, rng: np.random.Generator) -> None:
    root = write_small_split(tmp_path / "split")
    with pytest.raises(InputError, match="holds a finished split"):
        SplitWriter(root)
    with SplitWriter(root, overwrite=True) as writer:
        writer.add_image(photo(rng))
    assert len(read_split(root)) == 1


@pytest.mark.parametrize("name", ["../a.jpg", "/a.jpg", "x/../../a.jpg"])
def test_images_cannot_be_written_elsewhere(tmp_path: Path, rng: np.random.Generator, name: str) -> None:
    with SplitWriter(tmp_path / "split") as writer, pytest.raises(InputError, match="below the image folder"):
        writer.add_image(photo(rng), file_name=name)
    assert not list(tmp_path.glob("a.jpg"))


def test_bad_input_names_the_image(tmp_path: Path, rng: np.random.Generator) -> None:
    with SplitWriter(tmp_path / "split") as writer:
        with pytest.raises(InputError, match=r"missing\.jpg"):
            writer.add_image(tmp_path / "missing.jpg")
        with pytest.raises(InputError, match=r"x\.png: annotation -1: .*size \[3, 4\]"):
            writer.add_image(
                photo(rng), [Annotation(segmentation={"size": [3, 4], "counts": "<"})], file_name="x.png"
            )


def test_the_card_counts_licences_by_name(tmp_path: Path, rng: np.random.Generator) -> None:
    with SplitWriter(
        tmp_path / "s", licenses=[{"id": 4, "name": "CC BY 4.0"}], card={"seed": np.int64(5)}
    ) as writer:
        for licence in (4, 4, "public domain", None):
            writer.add_image(photo(rng), license=licence)
    card = yaml.safe_load((tmp_path / "s" / "card.yaml").read_text())
    assert card["seed"] == 5
    assert card["licences"] == {"CC BY 4.0": 2, "public domain": 1, "unknown": 1}
    assert card["counts"]["images"] == 4
