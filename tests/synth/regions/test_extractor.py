"""The region extractor on a tiny Mask2Former, and the index maps kept beside a split."""

import json

import numpy as np
import pytest

from synth.photos import cached_regions, open_regions, regions_file
from synth.regions.cache import extract_batch, extract_missing, missing_regions, run_here
from synth.regions.extractor import RegionExtractor, bundled_folder, enlarge
from synth.regions.labels import GROUND, SKY, UNKNOWN, WALL
from tests.helpers.scenes import write_photos
from toolkit.cli import run
from toolkit.errors import InputError
from toolkit.split import read_split


@pytest.fixture(scope="module")
def extractor(model):
    return RegionExtractor.load(model, "cpu")


def photos_of(sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 255, (height, width, 3)).astype(np.uint8) for height, width in sizes]


def test_labels_become_regions(extractor):
    assert extractor.lookup[:4].tolist() == [GROUND, WALL, SKY, UNKNOWN]
    assert extractor.unmapped == ["blob"]
    assert extractor.table() == {"road": "ground", "wall-brick": "wall", "sky": "sky", "blob": "unknown"}


def test_a_batch_gives_what_each_photo_gives_alone(extractor):
    images = photos_of([(60, 80), (80, 60), (60, 80), (120, 160), (700, 900)])
    together = extractor.extract(images)
    for image, found in zip(images, together, strict=True):
        assert found.shape == image.shape[:2]
        assert found.dtype == np.uint8
        alone = extractor.extract([image])[0]
        assert np.mean(alone == found) > 0.999  # sums in another order may flip a tie
    assert set(np.unique(together[0])) <= {GROUND, WALL, SKY, UNKNOWN}
    assert extractor.extract([]) == []


def test_the_decision_is_that_of_the_image_processor(extractor):
    """What transformers' own semantic inference says, mapped by the table."""
    import torch

    image = photos_of([(64, 96)], seed=5)[0]
    pixels = extractor.processor(images=[image], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        output = extractor.model(pixel_values=pixels)
    classes = extractor.processor.post_process_semantic_segmentation(output, target_sizes=[(64, 96)])[
        0
    ].numpy()
    assert np.array_equal(extractor.extract([image])[0], extractor.lookup[classes])


def test_enlarging_keeps_straight_borders_straight():
    small = np.full((10, 10), GROUND, np.uint8)
    small[:, 5:] = UNKNOWN
    large = enlarge(small, (100, 100))
    assert (large[:, :50] == GROUND).all()
    assert (large[:, 50:] == UNKNOWN).all()
    assert enlarge(small, (10, 10)) is small


@pytest.mark.parametrize("source", ["/no/such/folder", "no-such-owner/no-such-model"])
def test_a_checkpoint_that_is_not_there(source, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="not a Mask2Former"):
        RegionExtractor.load(source)


def test_without_bundled_weights_the_message_says_what_to_give(monkeypatch, tmp_path):
    monkeypatch.setattr("synth.regions.extractor.bundled_folder", lambda: tmp_path)
    with pytest.raises(InputError, match="--model"):
        RegionExtractor.load()
    assert bundled_folder().parts[-2:] == ("bundled", "regions")


def test_maps_are_kept_and_not_made_twice(extractor, tmp_path):
    split = read_split(write_photos(tmp_path / "photos", count=5, regions=False))
    split.image_path(split.images[1]).write_bytes(b"no image")
    folder, faults = tmp_path / "regions", []
    note = lambda record, fault: faults.append((record.file_name, fault))  # noqa: E731
    assert extract_missing(split, list(split), folder, run_here(extractor.extract), 2, note) == 4
    assert [name for name, fault in faults if fault] == ["photo1.png"]
    left = missing_regions(split, list(split), folder)
    assert [record.file_name for record in left] == ["photo1.png"]
    record = split.images[0]
    found = open_regions(regions_file(split, record, folder), record.height, record.width)
    assert np.array_equal(found, extractor.extract([split.open_image(record)])[0])


def test_a_batch_of_unreadable_photos(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    assert "not an image" in extract_batch([tmp_path / "a.jpg"], lambda images: [])[0]


def test_the_command_writes_maps_and_a_report(model, tmp_path, capsys):
    photos = write_photos(tmp_path / "photos", count=3, regions=False)
    (photos / "images" / "photo2.png").write_bytes(b"no image")
    assert run(["synth", "regions", str(photos), "--model", str(model), "--device", "cpu"]) == 0
    report = json.loads((photos / "regions" / "report.json").read_text())
    assert (report["photos"], report["written"], report["had_regions"]) == (3, 2, 0)
    assert report["unmapped_labels"] == ["blob"]
    assert [entry["item"] for entry in report["skipped"]] == ["photo2.png"]
    record = read_split(photos).images[0]
    before = cached_regions(photos / "regions", record).read_bytes()
    assert run(["synth", "regions", str(photos), "--model", str(model), "--device", "cpu"]) == 0
    assert "2 photos had one" in capsys.readouterr().out
    assert cached_regions(photos / "regions", record).read_bytes() == before
    assert run(["synth", "regions", str(photos), "--model", str(tmp_path / "none")]) == 2
    assert "not a Mask2Former" in capsys.readouterr().err
