"""How far masks overlap, against rectangles worked out by hand and masks in the photo."""

from __future__ import annotations

import numpy as np
import pytest

from models.one_click import found_object
from models.overlaps import overlaps, overlaps_of_smaller
from tests.helpers.placed import blob, rectangle


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_overlaps_across_scales(scale: float) -> None:
    # in pixels of the photo: 32 × 32 at the origin; 16 × 32, its left half; 32 × 32, moved by 16
    size = round(8 * scale)
    whole = rectangle(0, 0, size, size, scale)
    half, moved, apart = rectangle(0, 0, 8, 4), rectangle(0, 4, 8, 8), rectangle(20, 20, 8, 8)
    found = overlaps([whole, half], [whole, half, moved, apart])
    np.testing.assert_allclose(found, [[1, 1 / 2, 1 / 3, 0], [1 / 2, 1, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(overlaps([moved], [whole]), [[1 / 3]], atol=1e-6)


def test_overlaps_of_the_smaller() -> None:
    whole, half, moved, apart = (
        rectangle(0, 0, 8, 8), rectangle(0, 0, 8, 4), rectangle(0, 4, 8, 8), rectangle(20, 20, 8, 8)
    )  # fmt: skip
    np.testing.assert_allclose(overlaps_of_smaller(whole, [half, moved, apart]), [1, 1 / 2, 0], atol=1e-6)
    np.testing.assert_allclose(overlaps_of_smaller(half, [whole]), [1], atol=1e-6)


def test_overlaps_of_many_equal_those_of_their_masks_in_the_photo(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found_object, "without_specks", lambda mask, clicks: mask)
    items = [blob(rng, scale) for scale in (0.5, 1.0, 2.0) for _ in range(6)]
    found = overlaps(items, items)
    # each pixel of the photo as eight of a copy eight times as large
    masks = [item.found.mask(800, 800, item.scale / 8) for item in items]
    expected = [[(a & b).sum() / (a | b).sum() for b in masks] for a in masks]
    assert (np.array(expected) > 0.1).sum() > len(items) + 10
    np.testing.assert_allclose(found, expected, atol=0.06)  # 32 × 32 samples
    assert np.abs(found - expected).mean() < 0.005
    np.testing.assert_array_equal(found, found.T)


def test_overlaps_of_nothing() -> None:
    item = rectangle(0, 0, 8, 8)
    assert overlaps([], []).shape == (0, 0)
    assert overlaps([item], []).shape == (1, 0)
    assert overlaps([], [item]).shape == (0, 1)
