"""Selectors that differ in one thing: what is switched changes, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.agreement import most_agreed
from models.chooser import ChooserConfig, ChooserModel
from models.ids import SelectionConfig
from models.judge import JudgeConfig, JudgeModel
from models.one_click.finder import ObjectFinder
from models.one_click.found_object import FoundObject
from models.placed_object import PlacedObject
from models.selector import Selector
from models.variants import CLICKS_OF_ONE_ROUND, with_settings
from models.view import PhotoView
from tests.helpers.networks import eager_one_click, random_cpn, random_pvm, random_refiner, save_selector
from toolkit.clicks import Click
from toolkit.errors import InputError, UnsupportedSystem
from toolkit.systems import ProposingScene, VariableSystem, VerifyingScene

CLICKS = [Click(40, 30), Click(150.5, 100.25), Click(96, 60)]


@pytest.fixture(scope="module")
def selector(tmp_path_factory: pytest.TempPathFactory) -> Selector:
    folder = save_selector(tmp_path_factory.mktemp("selector"))
    return Selector.load(folder, device="cpu", working_sizes=(192,))


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (120, 192, 3)).astype(np.uint8)


def test_it_answers_the_protocols(selector: Selector, image: np.ndarray) -> None:
    scene = selector.encode(image)
    assert isinstance(selector, VariableSystem)
    assert isinstance(scene, ProposingScene)
    assert isinstance(scene, VerifyingScene)


def test_the_switches_by_the_columns_of_the_tables(selector: Selector) -> None:
    assert selector.switches == {
        "Backbone": "compact",
        "Click embedding": True,
        "IDS": True,
        "PVM": True,
        "L1 → L2 → L3": "1/4 → 1/8 → 1/16",
        "Mask (CPN)": True,
        "Query size": "3 × 3",
        "Scale": True,
        "Square": True,
        "Mask (PVM)": True,
    }
    assert selector.with_selection(iterate=False).switches == {**selector.switches, "IDS": False}
    assert selector.with_selection(verify=False).switches == {**selector.switches, "PVM": False}


def test_settings_of_the_selection() -> None:
    start = SelectionConfig(confidence=0.3)
    assert with_settings(start, {}) == start
    assert with_settings(start, {"verify": False, "rounds": 2}) == replace(start, verify=False, rounds=2)
    once = replace(start, rounds=1, clicks_per_round=CLICKS_OF_ONE_ROUND)
    assert with_settings(start, {"iterate": False}) == once
    assert with_settings(start, {"iterate": True}) == start
    with pytest.raises(InputError, match="no parameter 'round'"):
        with_settings(start, {"round": 2})
    with pytest.raises(InputError, match="verify is 3"):
        with_settings(start, {"verify": 3})
    with pytest.raises(InputError, match="confidence is 'high'"):
        with_settings(start, {"confidence": "high"})


def test_variants_have_fingerprints_of_their_own(selector: Selector) -> None:
    variants = [selector, selector.with_selection(verify=False), selector.without_clicks()]
    assert len({variant.fingerprint for variant in variants}) == 3
    assert selector.with_selection(verify=True).fingerprint == selector.fingerprint


def test_one_network_is_replaced(selector: Selector, tmp_path: Path) -> None:
    random_cpn(seed=5, query_size=5).save_pretrained(tmp_path / "cpn")
    random_pvm(seed=5, use_scale=False).save_pretrained(tmp_path / "pvm")
    other = selector.with_network(str(tmp_path / "cpn"))
    assert other.switches == {**selector.switches, "Query size": "5 × 5"}
    assert other.models.finder is selector.models.finder
    assert other.models.verification is selector.models.verification
    other = selector.with_network(str(tmp_path / "pvm"))
    assert other.switches == {**selector.switches, "Scale": False}
    eager_one_click(seed=5).save_pretrained(tmp_path / "one-click")
    random_refiner(seed=5).save_pretrained(tmp_path / "refiner")
    other = selector.with_network(str(tmp_path / "refiner"))
    assert (selector.models.refiner is None, other.models.refiner is None) == (True, False)
    assert other.fingerprint != selector.fingerprint
    ChooserModel(ChooserConfig()).save_pretrained(tmp_path / "chooser")
    JudgeModel(JudgeConfig()).save_pretrained(tmp_path / "judge")
    for name in ("chooser", "judge"):
        other = selector.with_network(str(tmp_path / name))
        assert (getattr(selector.models, name) is None, getattr(other.models, name) is None) == (True, False)
        assert other.fingerprint != selector.fingerprint
    other = selector.with_network(str(tmp_path / "one-click"))
    assert other.models.proposals is selector.models.proposals
    assert other.models.finder is not selector.models.finder


def test_networks_that_do_not_fit(selector: Selector, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no network there"):
        selector.with_network(str(tmp_path))
    random_cpn(feature_channels=8).save_pretrained(tmp_path / "cpn")
    with pytest.raises(InputError, match="16 channels"):
        selector.with_network(str(tmp_path / "cpn"))


def test_without_clicks_every_window_is_click_free(selector: Selector, image: np.ndarray) -> None:
    network = selector.without_clicks().models.finder.model
    rng = torch.Generator().manual_seed(0)
    feature = torch.randn(1, network.config.pyramid_channels, 12, 16, generator=rng)
    clicks = torch.zeros(1, 1, 12, 16)
    clicks[0, 0, 5, 5] = 1
    for heads, same in ((network.heads, True), (selector.models.finder.model.heads, False)):
        clicked, free = heads(feature, clicks, 0), heads(feature, None, 0)
        assert torch.allclose(clicked.logits, free.logits, atol=1e-5) is same
    assert selector.without_clicks().encode(image).segment([CLICKS[0]]) is not None


def agreed(finder: ObjectFinder, view: PhotoView, click: Click) -> FoundObject:
    """What a click selects in the only view of a photo as large as the view."""
    found = finder.candidates(view.encoded, [[(click.x, click.y)]])[0]
    items = [PlacedObject(item, 1.0) for item in found]
    answer = most_agreed(items, items, [item.vote for item in items])
    assert answer is not None
    return answer.found


def test_proposed_clicks_are_the_peaks_of_the_heatmap(selector: Selector, image: np.ndarray) -> None:
    scene = selector.encode(image)
    proposed = scene.propose_clicks(CLICKS[0], limit=7)
    confidences = [confidence for _, confidence in proposed]
    assert len(proposed) == 7
    assert confidences == sorted(confidences, reverse=True)
    (view,) = scene.views
    exemplar = agreed(selector.models.finder, view, CLICKS[0])
    heatmap = view.heatmap([exemplar])[: 120 // 4, : 192 // 4]
    click, best = proposed[0]
    assert best == pytest.approx(heatmap.max().item())
    assert heatmap[int(click.y // 4), int(click.x // 4)].item() == pytest.approx(best)


def test_similarities_are_those_that_the_selection_uses(selector: Selector, image: np.ndarray) -> None:
    scene = selector.with_selection(zoom_in=False).encode(image)  # `agreed` looks at no crops
    alike = scene.similarities(CLICKS)
    (view,) = scene.views
    items = [agreed(selector.models.finder, view, click) for click in CLICKS]
    for row, item in enumerate(items):
        np.testing.assert_allclose(alike[row], view.similarity_to(item, [])(items), atol=1e-3)


def test_clicks_that_find_nothing_have_no_similarity(
    selector: Selector, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = selector.encode(image)
    (view,) = scene.views
    finder = selector.models.finder
    find, ask = view.find, finder.candidates_in

    def not_the_second(groups, avoid=()):
        return [None if group[0][0] == CLICKS[1].x else find([group])[0] for group in groups]

    def none_of_the_second(asked):
        return [
            [[] if group[0][0] == CLICKS[1].x else ask([(encoded, [group])])[0][0] for group in groups]
            for encoded, groups in asked
        ]

    monkeypatch.setattr(view, "find", not_the_second)
    monkeypatch.setattr(finder, "candidates_in", none_of_the_second)
    known = np.isfinite(scene.similarities(CLICKS))
    assert known.tolist() == [[True, False, True], [False] * 3, [True, False, True]]
    assert scene.propose_clicks(CLICKS[1]) == []


def test_weights_without_the_network_say_so(selector: Selector, image: np.ndarray) -> None:
    alone = Selector(replace(selector.models, proposals=None, verification=None), (192,)).encode(image)
    with pytest.raises(UnsupportedSystem, match="folder pvm"):
        alone.similarities(CLICKS)
    with pytest.raises(UnsupportedSystem, match="folder cpn"):
        alone.propose_clicks(CLICKS[0])
