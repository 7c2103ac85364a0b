"""What "All like this" costs on the coins photo: the first click against later ones, through the backend.

    python -m tests.benchmarks.bench_second_click

The backend runs in this process with the bundled weights, and is asked over HTTP as Label Studio asks it.
The first click fetches, opens and encodes the photo and selects all siblings; a later click, on another coin,
only selects. Processor time stands beside the time on the clock, because it says the same on a busy machine.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from annotation.backend.app import Backend, create_app
from annotation.backend.model import ModelHolder
from annotation.backend.settings import BackendSettings
from annotation.systems import load_served
from tests.helpers.label_studio_requests import click_body, inline, point_body, task_body

FIRST = (36, 49)  # on a coin of scikit-image's photo
LATER = ((155, 120), (90, 50), (220, 120), (100, 195), (36, 120))  # on others
PHOTOS = 3  # each with its own noise, so that none is in the cache; the first one only warms up


@dataclass(frozen=True)
class Cost:
    """One click: seconds on the clock and of the processor, and the regions in the answer."""

    clock: float
    processor: float
    regions: int


@dataclass(frozen=True)
class ClickCosts:
    """First and later clicks on the coins."""

    first: tuple[Cost, ...]
    later: tuple[Cost, ...]

    @property
    def ratio(self) -> float:
        """Median processor time of a later click, as a part of the first one's."""
        return _median(self.later, "processor") / _median(self.first, "processor")

    @property
    def clock_ratio(self) -> float:
        """The same of the time on the clock."""
        return _median(self.later, "clock") / _median(self.first, "clock")

    def __str__(self) -> str:
        regions = statistics.median(cost.regions for cost in self.later)
        parts = [
            f"{name}: {_median(costs, 'clock'):.3f} s, processor {_median(costs, 'processor'):.3f} s"
            for name, costs in (("first click", self.first), ("later click", self.later))
        ]
        return (
            f"coins, all like this, {regions:.0f} regions: {'; '.join(parts)}; "
            f"later / first: {self.clock_ratio:.3f}, processor {self.ratio:.3f}"
        )


def measure(photos: int = PHOTOS, later: Sequence[tuple[float, float]] = LATER) -> ClickCosts:
    """Click first and later on copies of the coins photo."""
    from skimage import data

    coins = np.repeat(data.coins()[..., None], 3, axis=2)
    holder = ModelHolder(lambda: load_served(None, None))
    app = create_app(Backend(BackendSettings(), holder))
    firsts: list[Cost] = []
    laters: list[Cost] = []
    with TestClient(app, base_url="http://127.0.0.1:9090") as client:
        holder.get(300)
        for seed in range(photos):
            noise = np.random.default_rng(seed).integers(0, 2, coins.shape, dtype=np.uint8)
            task = task_body(inline(np.maximum(coins, 1) - noise), task=seed)
            first = click(client, task, FIRST, coins.shape)
            others = [click(client, task, place, coins.shape) for place in later]
            if seed:
                firsts.append(first)
                laters += others
    return ClickCosts(tuple(firsts), tuple(laters))


def click(client: TestClient, task: dict[str, Any], place: tuple[float, float], shape: Any) -> Cost:
    """Ask for all objects like the one at a place."""
    height, width = shape[:2]
    point = point_body(*place, width, height, name=f"click-{task['id']}-{place}")
    body = click_body(task, [point])
    clock, processor = perf_counter(), process_time()
    answer = client.post("/predict", json=body)
    clock, processor = perf_counter() - clock, process_time() - processor
    return Cost(clock, processor, len(answer.json()["results"][0]["result"]))


def _median(costs: Sequence[Cost], what: str) -> float:
    return statistics.median(getattr(cost, what) for cost in costs)


def main() -> None:
    """Print the figures."""
    sys.stdout.write(f"{measure()}\n")


if __name__ == "__main__":
    main()
