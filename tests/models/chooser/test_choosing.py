"""Which proposal is chosen, and by whom."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from models.agreement import PlacedObject, agreed
from models.chooser import ChooserConfig, ChooserModel
from models.chooser.choosing import choose
from models.chooser.features import FEATURES
from models.chooser.model import ABSENT
from tests.models.chooser.test_features import square


def by_size(sign: float) -> ChooserModel:
    """Prefers the largest proposal, or the smallest."""
    model = ChooserModel(ChooserConfig(hidden=1)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.own[0].weight[0, FEATURES.index("log side")] = 1  # GELU leaves the order of positive numbers
        model.joint[0].weight[0, 0] = 1
        model.joint[3].weight[0, 0] = sign
    return model


def proposals() -> list[PlacedObject]:
    return [square(10, 5, 0.8, 1.0), square(5, 2, 0.6, 0.5), square(30, 0, 0.3, 1.0), square(4, 8, 0.2, 1.0)]


def test_the_network_chooses() -> None:
    items = proposals()
    assert choose(by_size(1), items) is items[2]
    assert choose(by_size(-1), items) is items[3]


def test_without_a_network_agreement_does() -> None:
    items = proposals()
    assert choose(None, items) is agreed(items)
    assert choose(None, []) is None
    assert choose(by_size(1), []) is None
    assert choose(by_size(1), items[:1]) is items[0]


def test_several_clicks_at_once_are_left_to_agreement() -> None:
    items = [
        PlacedObject(replace(item.found, clicks=(*item.found.clicks, (30.0, 30.0))), item.scale)
        for item in proposals()
    ]
    assert choose(by_size(1), items) is agreed(items) is not items[2]


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    model = ChooserModel(ChooserConfig(hidden=8)).eval()
    features = torch.randn(2, 5, len(FEATURES))
    present = torch.tensor([[True, True, True, False, False], [True] * 5])
    with torch.no_grad():
        both = model(features, present)
        alone = model(features[:1, :3], present[:1, :3])
    torch.testing.assert_close(both[0, :3], alone[0])
    assert both[0, 3:].tolist() == [ABSENT, ABSENT]


def test_saved_and_loaded(tmp_path: Path) -> None:
    model = by_size(1)
    model.mean.fill_(0.25)
    model.save_pretrained(tmp_path)
    again = ChooserModel.from_pretrained(tmp_path)
    assert torch.equal(again.mean, model.mean)  # what normalises the features travels with the weights
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
