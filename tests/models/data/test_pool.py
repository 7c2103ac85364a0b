"""Photos and objects that training pictures are drawn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from models.data.composer import FIRST_PASTED_GROUP
from models.data.pool import PhotoPool, read_jpeg, rle_part
from tests.helpers.splits import write_small_split
from tests.helpers.systems import box_mask, object_of, write_objects
from toolkit.errors import InputError
from toolkit.image import open_image
from toolkit.masks import mask_to_rle
from toolkit.split import read_split


def test_objects_without_crowds(tmp_path: Path) -> None:
    pool = PhotoPool(read_split(write_small_split(tmp_path, images=2)))
    assert len(pool.records) == 2
    assert [o.box for o in pool.objects[0]] == [
        (4, 6, 20, 22),
        (31, 5, 49, 23),
        (8, 34, 18, 46),
        (30, 34, 48, 46),
    ]
    assert [o.size for o in pool.objects[0]] == [16, 18, 12, 18]
    assert pool.image(1).shape == (60, 80, 3)
    assert pool.part(0, pool.objects[0][2]).full(60, 80)[34:46, 8:18].all()


def test_groups_are_unique_in_the_pool(tmp_path: Path) -> None:
    def thing(x: int, **fields: int) -> object:
        return object_of(box_mask(x, 10, 20, 20), **fields)

    split = write_objects(
        tmp_path,
        [
            [thing(0, group_id=7), thing(30, group_id=2), thing(60, group_id=7)],
            [thing(0, group_id=2), thing(30), thing(60)],
            [thing(0, group_id=2_000_000_000)],
        ],
    )
    groups = [[o.group for o in objects] for objects in PhotoPool(split).objects]
    assert groups[0] == [1, 0, 1]  # ordered as in the photo
    assert groups[1][0] == 2
    assert groups[2] == [3]
    alone = groups[1][1:]
    assert len(set(alone)) == 2
    assert max(alone) < 0
    assert max(g for own in groups for g in own) < FIRST_PASTED_GROUP


def test_photos_without_usable_objects_are_left_out(tmp_path: Path) -> None:
    speck = object_of(box_mask(5, 5, 1, 1))
    crowd = object_of(box_mask(5, 5, 50, 50), iscrowd=1)
    good = object_of(box_mask(50, 50, 9, 2))
    pool = PhotoPool(write_objects(tmp_path, [[], [speck, crowd], [speck, good]]))
    assert [r.file_name for r in pool.records] == ["photo2.png"]
    assert [[o.box for o in objects] for objects in pool.objects] == [[(50, 50, 59, 52)]]


def test_a_split_without_objects_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no image with an object to train on"):
        PhotoPool(write_objects(tmp_path, [[], []]))


@pytest.mark.parametrize(("power", "share"), [(1.0, 0.25), (0.0, 0.5), (0.5, 1 / (1 + 3**0.5))])
def test_small_sources_speak_louder_with_a_smaller_power(
    tmp_path: Path, power: float, share: float, rng: np.random.Generator
) -> None:
    photos = [[object_of(box_mask(9, 9, 9, 9))]] * 4
    pool = PhotoPool(write_objects(tmp_path, photos, sources=["a", "a", "a", "b"]), power)
    drawn = np.bincount([pool.draw(rng) for _ in range(4000)], minlength=4) / 4000
    assert drawn[3] == pytest.approx(share, abs=0.03)
    assert drawn[:3] == pytest.approx([(1 - share) / 3] * 3, abs=0.03)


def test_kept_photos_are_decoded_once(tmp_path: Path) -> None:
    split = read_split(write_small_split(tmp_path, images=2))
    forgetful, pool = PhotoPool(split), PhotoPool(split, cache_bytes=2 * 60 * 80 * 3 - 1)
    first = pool.image(0)
    assert pool.image(0) is first
    assert not first.flags.writeable
    pool.image(1)
    assert pool.image(0) is not first
    assert (pool.image(0) == first).all()
    assert forgetful.image(0) is not forgetful.image(0)


def test_a_part_by_hand() -> None:
    # rows 1–4 of 5; of columns 2 and 3 of 6, the second holds only the last row
    mask = np.zeros((5, 6), bool)
    mask[1:4, 2], mask[4, 3] = True, True
    part = rle_part(mask_to_rle(mask))
    assert part.box == (2, 1, 4, 5)
    assert part.mask.tolist() == [[True, False]] * 3 + [[False, True]]
    assert rle_part(mask_to_rle(np.zeros((5, 6), bool))).area == 0
    assert rle_part(mask_to_rle(np.ones((5, 6), bool))).box == (0, 0, 6, 5)
    assert rle_part({"size": [2, 3], "counts": [2, 0, 1, 1, 2]}).box == (1, 1, 2, 2)  # an empty run first


@given(height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 1 << 30))
def test_parts_lie_where_the_masks_do(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((height, width)) < rng.choice([0.03, 0.2, 0.8])
    part = rle_part(mask_to_rle(mask))
    assert (part.full(height, width) == mask).all()
    assert part.mask.shape == part.tight().mask.shape


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_photos_are_read_as_everywhere_else(tmp_path: Path, orientation: int) -> None:
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:10, :15], pixels[10:, 15:] = (250, 120, 0), (0, 60, 200)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo.jpg"
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    read = read_jpeg(path)
    assert read is not None
    assert abs(read.astype(int) - open_image(path)).max() <= 1  # two builds of one decoder


def test_what_is_no_whole_jpeg_is_left_to_others(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    assert read_jpeg(path) is None
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(path, format="PNG")
    assert read_jpeg(path) is None
    Image.new("CMYK", (30, 20), (200, 10, 60, 0)).save(path, format="JPEG")
    assert read_jpeg(path) is None
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-9])
    assert read_jpeg(path) is None
