"""The donor table and the cut-outs kept on disk."""

import numpy as np
import pytest

from synth.objects.donors import DonorBank, DonorFault, licence_name
from synth.objects.index import index_donors
from synth.settings import ObjectSettings
from tests.helpers.scenes import write_donors
from toolkit.image import open_image
from toolkit.split import Annotation, SplitWriter, read_split


@pytest.fixture
def donors(tmp_path):
    return read_split(write_donors(tmp_path / "donors", count=5))


def test_donors_are_drawn_by_size(donors):
    index = index_donors(donors, ObjectSettings(min_side=8), seed=0)
    assert len(index) == 15
    assert (np.diff(index.area) >= 0).all()
    rng = np.random.default_rng(0)
    middle = float(np.median(index.area))
    for _ in range(50):
        assert index.area[index.draw(rng, middle, 1e9)] >= middle
        assert index.area[index.draw(rng, 0, middle)] <= middle
    assert index.draw(rng, 1e6, 1e9) is None
    drawn = {index.draw(rng, 0, 1e9) for _ in range(400)}
    assert drawn == set(range(15))


def test_rare_categories_come_more_often_than_their_share(tmp_path):
    mask = np.zeros((60, 60), bool)
    mask[20:40, 20:40] = True
    categories = [{"id": 1, "name": "common"}, {"id": 2, "name": "rare"}]
    with SplitWriter(tmp_path, categories=categories) as writer:
        for number in range(17):
            writer.add_image(
                np.zeros((60, 60, 3), np.uint8),
                [Annotation(category_id=1 if number else 2, bbox=(20, 20, 20, 20), area=400.0)],
                file_name=f"{number}.png",
            )
    index = index_donors(read_split(tmp_path), ObjectSettings(), seed=0)
    rng = np.random.default_rng(0)
    rare = np.mean([index.category[index.draw(rng, 0, 1e9)] == 2 for _ in range(4000)])
    assert rare == pytest.approx(1 / (1 + 4), abs=0.03)  # weights: one of 1, sixteen of 1/4


def test_the_pool_is_a_sample_of_the_seed(donors):
    pools = [index_donors(donors, ObjectSettings(pool=6), seed).places.tolist() for seed in (0, 0, 1)]
    assert pools[0] == pools[1] != pools[2]
    assert len(pools[0]) == 6


def test_what_records_rule_out_is_counted(donors):
    index = index_donors(donors, ObjectSettings(min_side=1000), seed=0)
    assert len(index) == 0
    assert index.refused == {"too small": 15}


def test_a_cut_out_from_the_cache_is_the_same(donors, tmp_path):
    fresh = DonorBank(donors, ObjectSettings(), 1.0).open(4)
    bank = DonorBank(donors, ObjectSettings(), 1.0, tmp_path / "cache")
    for _ in range(2):
        donor = bank.open(4)
        assert np.array_equal(donor.cutout.image, fresh.cutout.image)
        assert np.array_equal(donor.cutout.alpha, fresh.cutout.alpha)
        assert np.array_equal(donor.cutout.mask, fresh.cutout.mask)
    assert (donor.image, donor.annotation, donor.license) == ("donor1.png", 5, "MIT")
    assert len(list((tmp_path / "cache").glob("*.cut"))) == 1


def test_a_photo_of_several_donors_is_opened_once(donors, monkeypatch):
    opened = []
    monkeypatch.setattr(
        "synth.objects.donors.open_image", lambda path: opened.append(path) or open_image(path)
    )
    bank = DonorBank(donors, ObjectSettings(), 1.0)
    for place in (3, 4, 5, 3):
        bank.open(place)
    assert [path.name for path in opened] == ["donor1.png"]


@pytest.mark.parametrize("cached", [False, True])
def test_unfit_and_broken_donors_say_so(donors, tmp_path, cached):
    bank = DonorBank(donors, ObjectSettings(), 1.0, tmp_path / "cache" if cached else None)
    (donors.images_dir / "donor0.png").unlink()
    (donors.images_dir / "donor1.png").write_bytes(b"no image")
    for place, word in ((0, "cannot open"), (3, "not an image")):
        reasons = []
        for _ in range(2):
            with pytest.raises(DonorFault, match=word) as caught:
                bank.open(place)
            assert caught.value.broken
            reasons.append(str(caught.value))
        assert reasons[0] == reasons[1]


def test_licences_in_words_or_by_id(donors):
    record = donors.images[0]
    assert licence_name(donors, record) == "MIT"
    donors.licenses.append({"id": 7, "name": "CC BY 4.0"})
    from dataclasses import replace

    assert licence_name(donors, replace(record, license=7)) == "CC BY 4.0"
    assert licence_name(donors, replace(record, license=None)) is None
