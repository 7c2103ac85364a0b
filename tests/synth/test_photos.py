"""Photos with their regions and annotations."""

import json
from dataclasses import replace

import numpy as np
import pytest

from synth.photos import cached_regions, load_photo, open_regions, read_photos, regions_file, shrink
from synth.regions.labels import GROUND
from synth.settings import SynthSettings
from tests.helpers.scenes import HEIGHT, WIDTH, noisy, region_map, write_photos
from toolkit.errors import InputError
from toolkit.image import save_image
from toolkit.split import read_split


def load(split, record, skipped=None):
    path = regions_file(split, record)
    return load_photo(split, record, path, SynthSettings(), {5: 50}, [] if skipped is None else skipped)


def test_a_photo_knows_its_objects_and_where_they_stand(tmp_path):
    split = read_split(write_photos(tmp_path / "photos", count=1))
    photo = load(split, split.images[0])
    assert [one.region for one in photo.instances] == [GROUND, GROUND]
    assert [one.category_id for one in photo.instances] == [50, 50]
    assert [one.group_id for one in photo.instances] == [1, 1]
    assert all(one.copyable for one in photo.instances)
    assert (photo.name, photo.license, photo.quality) == ("photo0.png", "CC0", None)
    donor = photo.donor(photo.instances[0], 1.0)
    assert donor.cutout.area == photo.instances[0].placed.area
    assert np.abs(donor.cutout.image.astype(int) - [40, 40, 45]).max() == 0
    assert (donor.split, donor.group) == ("photos", 1)


def test_objects_without_a_group_are_siblings_of_their_category(tmp_path):
    photos = write_photos(tmp_path / "photos", count=1, own=2)
    text = json.loads((photos / "annotations.json").read_text())
    del text["annotations"][1]["group_id"]
    text["annotations"].append({**text["annotations"][1], "id": 9})
    (photos / "annotations.json").write_text(json.dumps(text))
    split = read_split(photos)
    assert [one.group_id for one in load(split, split.images[0]).instances] == [1, 2, 2]


def test_unusable_annotations_are_named(tmp_path):
    photos = write_photos(tmp_path / "photos", count=1)
    text = json.loads((photos / "annotations.json").read_text())
    text["annotations"][0]["category_id"] = 99
    (photos / "annotations.json").write_text(json.dumps(text))
    split, skipped = read_split(photos), []
    assert len(load(split, split.images[0], skipped).instances) == 1
    assert skipped == [("photo0.png annotation 1", "category 99 is not in the split's list")]


def test_a_file_of_another_size_is_refused(tmp_path):
    split = read_split(write_photos(tmp_path / "photos", count=1))
    save_image(split.image_path(split.images[0]), np.zeros((50, 60, 3), np.uint8))
    with pytest.raises(InputError, match="60×50"):
        load(split, split.images[0])


@pytest.mark.parametrize(
    ("regions", "message"),
    [(np.zeros((5, 6), np.uint8), "6×5"), (np.full((HEIGHT, WIDTH), 9, np.uint8), "9 is no region")],
)
def test_maps_that_are_no_maps_of_regions(tmp_path, regions, message):
    save_image(tmp_path / "map.png", regions)
    with pytest.raises(InputError, match=message):
        open_regions(tmp_path / "map.png", HEIGHT, WIDTH)


def test_where_maps_are_looked_for(tmp_path):
    split = read_split(write_photos(tmp_path / "photos", count=1, regions=False))
    record, folder = split.images[0], tmp_path / "elsewhere"
    assert regions_file(split, record, folder) is None
    save_image(cached_regions(folder, record), region_map())
    assert regions_file(split, record, folder) == folder / "photo0.png"
    save_image(cached_regions(split.root / "regions", record), region_map())
    assert regions_file(split, record, folder) == split.root / "regions" / "photo0.png"
    save_image(split.images_dir / "named.png", region_map())
    named = replace(record, regions="named.png")
    assert regions_file(split, named, folder) == split.images_dir / "named.png"


def test_a_folder_of_scenes_is_a_split_without_annotations(tmp_path):
    rng = np.random.default_rng(0)
    save_image(tmp_path / "images" / "a.jpg", noisy(rng, (90, 90, 90), 40, 50))
    save_image(tmp_path / "regions" / "a.png", region_map(10, 40, 50))
    entry = {"name": "a", "width": 50, "height": 40, "license": "CC0", "source": "made"}
    (tmp_path / "scenes.json").write_text(json.dumps({"names": {}, "images": [entry]}))
    split = read_photos(tmp_path)
    assert (len(split), split.images[0].license) == (1, "CC0")
    assert load(split, split.images[0]).regions.shape == (40, 50)
    (tmp_path / "scenes.json").write_text(json.dumps({"images": [{"name": "a"}]}))
    with pytest.raises(InputError, match=r"scenes\.json"):
        read_photos(tmp_path)


def test_shrinking_keeps_masks_where_they_belong(tmp_path):
    split = read_split(write_photos(tmp_path / "photos", count=1))
    photo = load(split, split.images[0])
    small = shrink(photo, 80)
    assert small.image.shape == (60, 80, 3)
    assert small.regions.shape == (60, 80)
    for before, after in zip(photo.instances, small.instances, strict=True):
        assert after.placed.area == pytest.approx(before.placed.area / 4, rel=0.15)
        assert after.placed.left == pytest.approx(before.placed.left / 2, abs=1)
        assert after.rle is None
    assert not any(one.copyable for one in shrink(photo, 80, min_side=9).instances)
    assert shrink(photo, 400) is photo
