"""The claim of the build benchmark, in processor time and with room for a slow machine."""

import pytest

from tests.benchmarks.bench_synth_build import measure, write_sources


@pytest.mark.benchmark
def test_ten_images_per_processor_second(tmp_path):
    costs = measure(write_sources(tmp_path, photos=10, donors=20), tmp_path / "out", 30, 1)
    assert costs.images == 30
    assert costs.processor is not None
    assert costs.images / costs.processor > 5  # 10 and more where nothing else runs
