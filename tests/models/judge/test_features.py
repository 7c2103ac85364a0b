"""The numbers that the judge sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.judge.features import FEATURES, Candidate, Selection, features_of
from tests.models.chooser.test_features import square
from toolkit.clicks import Click

ALIKE = np.array([[1.0, 0.8, 0.4], [0.8, 1.0, 0.6], [0.4, 0.6, 1.0]])


def candidate(cells: int, top: int, similarity: float = 1.0, quality: float = 1.0) -> Candidate:
    """A square of so many cells from (top, top) on, in a view at half of the photo's resolution."""
    seen = square(cells, top, 0.8, 0.5)
    shown = replace(seen, found=replace(seen.found, quality=quality))
    x, y = (place / 0.5 for place in seen.found.clicks[0])
    return Candidate(seen, shown, Click(x, y), similarity, similarity / 2, similarity * 0.8)


def three() -> Selection:
    """Sides of 80, 40 and 80 px; their middles lie 80 and 160 px from the first's in each direction."""
    return Selection(
        [candidate(10, 0, quality=0.7), candidate(5, 12, 0.8, 0.5), candidate(10, 20, 0.4, 0.9)], ALIKE
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("clicked", [1, 0, 0]),
        ("similarity", [1, 0.8, 0.4]),
        ("confidence of its click", [0.5, 0.4, 0.2]),
        ("score", [0.8, 0.8, 0.8]),
        ("sureness", [1, 1, 1]),
        ("quality", [0.7, 0.5, 0.9]),
        ("log side in the view", np.log([40, 20, 40])),
        ("log side over the clicked one's", [0, -np.log(2), 0]),
        ("size apart from the clicked one", [0, np.log(2), 0]),
        ("log area over the clicked one's", [0, -np.log(4), 0]),
        ("log side over the median", [0, -np.log(2), 0]),
        ("size apart from the median", [0, np.log(2), 0]),
        ("filled part of its box", [1, 1, 1]),
        ("filled part apart from the clicked one's", [0, 0, 0]),
        ("log of width over height", [0, 0, 0]),
        ("shape apart from the clicked one's", [0, 0, 0]),
        # middles at 40, 116 and 200 px
        ("distance to the clicked one in its sides", [0, np.hypot(76, 76) / 80, np.hypot(160, 160) / 80]),
        ("mean similarity to others", [0.6, 0.7, 0.5]),
        ("largest similarity to others", [0.8, 0.8, 0.6]),
        ("share of those as similar", [1 / 3, 2 / 3, 1]),
        ("mean similarity of all", [0.6, 0.6, 0.6]),
        ("log of the number", [np.log(3)] * 3),
        ("the clicked one's score", [0.8] * 3),
        ("the clicked one's sureness", [1] * 3),
        ("the clicked one's quality", [0.7] * 3),
    ],
)
def test_features_by_hand(name: str, expected: list[float]) -> None:
    found = features_of(three())
    assert found.dtype == np.float32
    assert found.shape == (3, len(FEATURES))
    np.testing.assert_allclose(found[:, FEATURES.index(name)], expected, rtol=1e-4, atol=1e-5)


def test_the_clicked_object_alone() -> None:
    found = features_of(Selection([candidate(10, 0)], np.ones((1, 1))))
    assert np.isfinite(found).all()
    assert found[0, FEATURES.index("mean similarity to others")] == 0
    assert found[0, FEATURES.index("mean similarity of all")] == 0
