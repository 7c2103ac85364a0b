"""The numbers that the chooser sees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.chooser.features import FEATURES, _features, features_of
from models.one_click.found_object import FoundObject
from models.overlaps import overlaps
from models.placed_object import PlacedObject


def two() -> np.ndarray:
    """A surer proposal, and one of the same click in another view that holds it and as much again."""
    return _features(
        score=np.array([0.8, 0.5]),
        sureness=np.array([1.0, 0.5]),
        depth=np.array([1.0, 0.5]),
        side=np.array([10.0, 20.0]),
        scale=np.array([1.0, 0.5]),
        area=np.array([100.0, 200.0]),
        iou=np.array([[1.0, 0.5], [0.5, 1.0]]),
    )


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("claim", 0.8, 0.25),
        ("log side", np.log(11), np.log(21)),
        ("log side in its view", np.log(11), np.log(11)),
        ("log scale over the finest", 0, np.log(0.5)),
        # votes: 0.8⁴ = 0.4096 and 0.25⁴ · 0.5² = 0.0009765625, in all 0.4105765625
        ("share of the votes", 0.4096 / 0.4105765625, 0.0009765625 / 0.4105765625),
        ("agreement", (0.4096 + 0.5 * 0.0009765625) / 0.4105765625, (0.2048 + 0.0009765625) / 0.4105765625),
        # without depth: 0.4096 and 0.00390625
        ("agreement without depth", (0.4096 + 0.001953125) / 0.41350625, (0.2048 + 0.00390625) / 0.41350625),
        # soft votes: 0.64 and 0.0625 · 0.5 = 0.03125
        ("share of the soft votes", 0.64 / 0.67125, 0.03125 / 0.67125),
        # IoU 0.5 of areas 100 and 200: 100 in common, all of the first and half of the second
        ("part of it in others", 1, (0.5 * 0.4096 + 0.0009765625) / 0.4105765625),
        ("part of others in it", (0.4096 + 0.5 * 0.0009765625) / 0.4105765625, 1),
        ("agreement of other scales", 0.5, 0.5),
        ("agreement of its scale", 1, 1),
        ("nearest of other scales", 0.5, 0.5),
        ("nearest of its scale", 0, 0),
        ("votes for something larger", 0.0009765625 / 0.4105765625, 0),
        ("votes for something smaller", 0, 0.4096 / 0.4105765625),
        ("area over its side squared", 100 / 101, 200 / 401),
        ("log of the number", np.log(2), np.log(2)),
        ("best claim", 0.8, 0.8),
    ],
)
def test_features_by_hand(name: str, first: float, second: float) -> None:
    column = two()[:, FEATURES.index(name)]
    np.testing.assert_allclose(column, [first, second], rtol=1e-5, atol=1e-6)


def square(cells: int, top: int, score: float, scale: float) -> PlacedObject:
    logits = np.full((cells, cells), 30.0, np.float32)
    middle = (top + cells / 2) * 4
    return PlacedObject(FoundObject(logits, top, top, score, ((middle, middle),)), scale)


def test_features_of_proposals() -> None:
    items = [square(10, 5, 0.8, 1.0), square(5, 2, 0.6, 0.5)]
    found = features_of(items, overlaps(items, items))
    assert found.shape == (2, len(FEATURES))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, FEATURES.index("log side")], np.log(41), rtol=1e-5)
    np.testing.assert_allclose(found[:, FEATURES.index("score")], [0.8, 0.6], rtol=1e-6)
    np.testing.assert_allclose(found[:, FEATURES.index("depth")], 1, atol=0.05)


@given(st.permutations(range(4)))
def test_the_order_does_not_matter(order: list[int]) -> None:
    items = [square(10, 5, 0.8, 1.0), square(5, 2, 0.6, 0.5), square(6, 7, 0.3, 1.0), square(20, 1, 0.2, 1.0)]
    mixed = [items[index] for index in order]
    np.testing.assert_allclose(
        features_of(mixed, overlaps(mixed, mixed)),
        features_of(items, overlaps(items, items))[order],
        rtol=1e-4,
        atol=1e-5,
    )


def test_one_proposal_alone() -> None:
    found = features_of([square(10, 5, 0.8, 1.0)], np.ones((1, 1)))
    assert np.isfinite(found).all()
    assert found[0, FEATURES.index("agreement")] == pytest.approx(1)
    assert found[0, FEATURES.index("agreement of other scales")] == 0
