"""What the chooser and the judge decide in a scene."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.chooser.choosing import choose
from models.judge.judging import judged
from models.placed_object import PlacedObject
from models.scene import PhotoScene, _identity
from models.selector import Selector
from tests.helpers.networks import save_selector
from tests.models.chooser.test_choosing import by_size
from tests.models.judge.test_judging import by_similarity
from tests.models.test_scene import CLICKS, EASY, HEIGHT, WIDTH, found, same


@pytest.fixture(scope="module")
def selector(tmp_path_factory: pytest.TempPathFactory) -> Selector:
    folder: Path = save_selector(tmp_path_factory.mktemp("selector"))
    return Selector.load(folder, device="cpu", working_sizes=(192,), config=EASY)


@pytest.fixture(scope="module")
def scene(selector: Selector) -> PhotoScene:
    return selector.encode(np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_chooser_chooses(selector: Selector, scene: PhotoScene, sign: int) -> None:
    models = replace(selector.models, chooser=by_size(sign))
    choosing = PhotoScene(models, scene.views, (HEIGHT, WIDTH), scene.photo)
    for click in CLICKS:
        (items,) = choosing.proposals([click])
        wanted, other = (choose(by_size(own), items) for own in (sign, -sign))
        found = choosing.segment([click])
        assert found is not None
        assert wanted is not None
        assert other is not None
        np.testing.assert_array_equal(found.mask, wanted.found.mask(HEIGHT, WIDTH, wanted.scale))
        assert (found.mask != other.found.mask(HEIGHT, WIDTH, other.scale)).any()
        assert same(choosing.segment_each([click])[0], found)
        assert same(choosing.select_similar(click)[0], replace(found, group=0))


def test_the_judge_says_what_is_kept(selector: Selector, scene: PhotoScene) -> None:
    everything = scene.selection(CLICKS[0], config=selector.models.config.before_judge())
    assert everything is not None
    similarities = sorted(candidate.similarity for candidate in everything.candidates[1:])
    threshold = similarities[len(similarities) // 2]
    models = replace(selector.models, judge=by_similarity(threshold - 1e-3))
    judging = PhotoScene(models, scene.views, (HEIGHT, WIDTH), scene.photo)
    scores = judged(models.judge, everything)
    assert sum(score is not None for score in scores) > 1
    kept = judging.select_similar(CLICKS[0])
    expected = [
        (candidate.click, score)
        for candidate, score in zip(everything.candidates, scores, strict=True)
        if score is not None and candidate.shown.found.mask(HEIGHT, WIDTH, candidate.shown.scale).any()
    ]
    assert [instance.click for instance in kept] == [click for click, _ in expected]
    assert [instance.score for instance in kept] == pytest.approx([score for _, score in expected])
    np.testing.assert_array_equal(kept[0].mask, scene.select_similar(CLICKS[0])[0].mask)
    for off in ({"judge": False}, {"verify": False}):
        config = replace(selector.models.config, **off)
        unjudged = judging.select_similar(CLICKS[0], config=config)
        plain = scene.select_similar(CLICKS[0], config=config)
        assert len(unjudged) == len(plain) > 1
        assert all(same(one, other) for one, other in zip(unjudged, plain, strict=True))


def test_what_is_known_of_an_object_is_not_another_s() -> None:
    one, other = (PlacedObject(found(np.full((2, 2), value)), 1.0) for value in (1.0, 2.0))
    assert _identity(one) == _identity(replace(one, found=replace(one.found)))
    assert _identity(one) != _identity(other)
    assert _identity(one) != _identity(replace(one, scale=2.0))
