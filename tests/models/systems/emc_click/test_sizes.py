"""Sizes of the published networks beside the paper's table 1."""

from __future__ import annotations

import pytest

from models.sizes import recipe_size


@pytest.mark.parametrize(
    ("recipe", "parameters", "first", "later"),
    [("emc-click-mit-b0", 3.84e6, 5.38e9, 1.09e9), ("emc-click-mit-b3", 45.9e6, 32.3e9, 2.25e9)],
)
def test_parameters_and_work_match_table_1(
    recipe: str, parameters: float, first: float, later: float
) -> None:
    size = recipe_size(recipe)
    assert size.parameters == pytest.approx(parameters, rel=0.02)
    assert size.flops / 2 == pytest.approx(first, rel=0.02)  # the paper counts a multiply-add once
    (flops,) = size.further.values()
    # not more than published; a little less, for what is done once and kept
    assert 0.9 * later < flops / 2 <= later
    assert "table 1" in size.published
