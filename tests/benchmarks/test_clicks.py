"""The click benchmark runs, and its ratios hold with a wide margin."""

from __future__ import annotations

import pytest

from tests.benchmarks.bench_clicks import measure


@pytest.mark.benchmark
@pytest.mark.slow
def test_a_later_click_costs_a_fraction_of_the_first_on_any_photo() -> None:
    small, large = measure(256, repeats=3), measure(768, repeats=3)
    assert large.encode / large.click > 3
    # nine times the pixels: a click whose cost grew with the photo would cost several times as much
    assert large.click / small.click < 3
