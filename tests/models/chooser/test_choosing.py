"""What a click means, and who says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from models.agreement import agreed
from models.chooser import ChooserConfig, ChooserModel
from models.chooser.choosing import choose
from models.chooser.features import FEATURES
from models.chooser.model import ABSENT
from models.placed_object import PlacedObject
from tests.models.chooser.test_features import square


def by_size(sign: float, offset: float = 0.0) -> ChooserModel:
    """Prefers the largest proposal by far, or the smallest, and adds an offset to its mask."""
    model = ChooserModel(ChooserConfig(hidden=1, rounds=0)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.encoder.own[0].weight[0, FEATURES.index("log side")] = (
            1  # GELU leaves the order of positive numbers
        )
        model.out.weight[0, 0] = 1000 * sign
        model.out.bias[1] = offset
    return model


def proposals() -> list[PlacedObject]:
    return [square(10, 5, 0.8, 1.0), square(5, 2, 0.6, 0.5), square(30, 0, 0.3, 1.0), square(4, 8, 0.2, 1.0)]


def same_mask(one: PlacedObject | None, other: PlacedObject) -> bool:
    assert one is not None
    return np.array_equal(one.found.mask(200, 200, one.scale), other.found.mask(200, 200, other.scale))


def test_the_network_chooses() -> None:
    items = proposals()
    for sign, index in ((1, 2), (-1, 3)):
        chosen = choose(by_size(sign), items)
        assert same_mask(chosen, items[index])
        assert chosen is not None
        assert chosen.found.score == items[index].found.score


def test_the_network_has_a_say_in_the_mask_of_a_single_proposal() -> None:
    falling = np.array([[3.0, 3.0, 1.0, -1.0, -3.0]] * 5, np.float32)
    item = square(5, 0, 0.5, 1.0)
    item = replace(item, found=replace(item.found, logits=falling, clicks=((6.0, 10.0),)))
    narrow, wide = choose(by_size(1, -2.0), [item]), choose(by_size(1, 2.0), [item])
    assert narrow is not None
    assert wide is not None
    assert (narrow.found.logits > 0).sum() == 10
    assert (wide.found.logits > 0).sum() == 20


def test_without_a_network_agreement_does() -> None:
    items = proposals()
    assert choose(None, items) is agreed(items)
    assert choose(None, []) is None
    assert choose(by_size(1), []) is None


def test_several_clicks_at_once_are_left_to_agreement() -> None:
    items = [
        PlacedObject(replace(item.found, clicks=(*item.found.clicks, (30.0, 30.0))), item.scale)
        for item in proposals()
    ]
    assert choose(by_size(1), items) is agreed(items) is not items[2]


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    model = ChooserModel(ChooserConfig(hidden=8)).eval()
    features, overlaps = torch.randn(2, 5, len(FEATURES)), torch.rand(2, 5, 5)
    present = torch.tensor([[True, True, True, False, False], [True] * 5])
    with torch.no_grad():
        both = model(features, overlaps, present)
        alone = model(features[:1, :3], overlaps[:1, :3, :3], present[:1, :3])
    torch.testing.assert_close(both.logits[0, :3], alone.logits[0])
    torch.testing.assert_close(both.offsets[0, :3], alone.offsets[0])
    assert both.logits[0, 3:].tolist() == [ABSENT, ABSENT]
    assert both.offsets[0, 3:].tolist() == [0, 0]


def test_proposals_learn_from_those_that_overlap_with_them() -> None:
    torch.manual_seed(0)
    model = ChooserModel(ChooserConfig(hidden=8)).eval()
    features = torch.randn(1, 3, len(FEATURES))
    apart = torch.eye(3)[None]
    meeting = apart.clone()
    meeting[0, 0, 1] = meeting[0, 1, 0] = 0.8
    with torch.no_grad():
        one, other = (model(features, iou, torch.ones(1, 3).bool()).logits for iou in (apart, meeting))
    assert not torch.allclose(one[0, :2], other[0, :2])


def test_saved_and_loaded(tmp_path: Path) -> None:
    model = by_size(1)
    model.encoder.mean.fill_(0.25)
    model.save_pretrained(tmp_path)
    again = ChooserModel.from_pretrained(tmp_path)
    assert torch.equal(
        again.encoder.mean, model.encoder.mean
    )  # what normalises the features travels with the weights
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
