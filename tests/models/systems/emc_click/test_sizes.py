"""Sizes of the published networks beside the paper's table 1."""

from __future__ import annotations

import pytest

from models.sizes import recipe_size


@pytest.mark.parametrize(
    ("recipe", "parameters", "first", "later"),
    [
        ("emc-click-mit-b0", 3.84e6, 5.38e9, 1.09e9),
        ("emc-click-mit-b3", 45.9e6, 32.3e9, 2.25e9),
        ("emc-click-hrnet-18s", 4.33e6, 9.35e9, 1.09e9),
        ("emc-click-hrnet-18", 10.3e6, 15.3e9, 2.25e9),
        ("emc-click-hrnet-32", 31.2e6, 40.5e9, 2.25e9),
    ],
)
def test_parameters_and_work_match_table_1(
    recipe: str, parameters: float, first: float, later: float
) -> None:
    size = recipe_size(recipe)
    assert size.parameters == pytest.approx(parameters, rel=0.02)
    assert size.flops / 2 == pytest.approx(first, rel=0.06)  # the paper counts a multiply-add once
    (flops,) = size.further.values()
    # not more than published; a little less, for what is done once and kept
    assert 0.9 * later < flops / 2 <= later
    assert "table 1" in size.published
