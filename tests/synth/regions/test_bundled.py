"""The bundled extractor works offline, and its card says what it reaches."""

import re

import numpy as np
import pytest

from synth.regions.extractor import RegionExtractor, bundled_folder
from synth.regions.labels import GROUND, REGION_NAMES, SKY


@pytest.fixture(scope="module")
def extractor():
    return RegionExtractor.load(device="cpu")


def test_its_labels_are_the_regions(extractor):
    assert extractor.unmapped == []
    assert extractor.source == "bundled"
    assert extractor.table() == {name: name for index, name in REGION_NAMES.items() if index < 7}


def test_a_road_under_the_sky(extractor):
    """A drawing of a street: grey asphalt below, blue above."""
    rng = np.random.default_rng(0)
    image = np.zeros((240, 320, 3), np.uint8)
    image[:110] = (120, 170, 225)
    image[110:] = (95, 95, 95)
    image = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    regions = extractor.extract([image])[0]
    assert regions.shape == (240, 320)
    assert (regions[:60] == SKY).mean() > 0.5
    assert (regions[180:] == GROUND).mean() > 0.5


def test_the_card_gives_the_score_of_every_class():
    card = (bundled_folder() / "README.md").read_text(encoding="utf-8")
    header = next(line for line in card.splitlines() if line.startswith("| mIoU"))
    assert all(name in header for index, name in REGION_NAMES.items() if index < 7)
    row = card.splitlines()[card.splitlines().index(header) + 2]
    assert len(re.findall(r"0\.\d{3}", row)) == 9
    for word in ("research use", "CC BY 4.0", "COCO terms"):
        assert word in card


@pytest.mark.corpus
@pytest.mark.slow
def test_the_card_s_scores_are_those_of_the_weights(extractor):
    from synth.photos import read_photos
    from synth.regions.evaluation import count_regions, scores
    from tests.conftest import CORPUS
    from toolkit.report import Report

    counted = count_regions(extractor.extract, read_photos(CORPUS / "scenes" / "val"), Report())
    result = scores(counted.counts.sum(axis=0))
    card = (bundled_folder() / "README.md").read_text(encoding="utf-8")
    assert f"| {result['miou']:.3f} | {result['accuracy']:.3f} |" in card
