"""The benchmark of EMC-Click's clicks runs, and its ratio holds with a wide margin."""

from __future__ import annotations

import pytest

from tests.benchmarks.bench_emc_click import measure


@pytest.mark.benchmark
@pytest.mark.slow
def test_a_later_click_costs_less_than_the_first() -> None:
    costs = measure("emc-click-mit-b0", side=256, repeats=3)
    # the paper's own ratio is 183 / 528 ms = 0.35; the work is 1.0 against 5.3 G multiply-adds
    assert costs.second < 0.8 * costs.first
    # more clicks change little: they only add rows to the similarity maps
    assert costs.tenth < 2 * costs.second
