"""What every test shares: offline libraries, seeded numbers, fast tests first, honest skips."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("NO_COLOR", "1")

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

CORPUS = Path(os.environ.get("DECLUTTER_CORPUS", Path(__file__).resolve().parents[2] / "shared" / "data"))
LATE = ("slow", "benchmark", "studio")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run fast tests first; skip, with the reason, what this machine cannot run."""
    items.sort(key=lambda item: any(item.get_closest_marker(name) for name in LATE))
    for item in items:
        if item.get_closest_marker("corpus") and not CORPUS.is_dir():
            item.add_marker(pytest.mark.skip(reason=f"no photo corpus at {CORPUS} (set DECLUTTER_CORPUS)"))
        if item.get_closest_marker("gpu"):
            import torch

            if not torch.cuda.is_available():
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(20230618)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of the photo corpus (mark the test `corpus`)."""
    return CORPUS
