"""What later clicks of EMC-Click cost against the first.

    python -m tests.benchmarks.bench_emc_click

Times are medians of one process; only their ratios mean anything on another machine. The networks have random
weights: their speed needs no trained ones.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import torch

from models.recipes import read_recipe
from models.systems.emc_click.config import EmcClickConfig
from models.systems.emc_click.network import EmcClickNetwork
from models.systems.emc_click.stepper import EmcClickStepper
from tests.benchmarks.bench_clicks import median_time
from toolkit.clicks import Click

SIDE = 384  # pixels, as in table 1
# Milliseconds on a laptop's CPU: first and later clicks. Source: EMC-Click, table 1.
PUBLISHED = {"emc-click-mit-b0": (528, 183), "emc-click-mit-b3": (2006, 280)}
RECIPES = ("emc-click-compact", *PUBLISHED)


@dataclass(frozen=True)
class StepCosts:
    """Seconds on a square photo that the network sees at its own size.

    Attributes:
        first: Of the first click, base network and correction.
        second: Of the second one.
        tenth: Of the tenth one.
    """

    first: float
    second: float
    tenth: float


def measure(recipe: str, side: int = SIDE, repeats: int = 5) -> StepCosts:
    """Measure a recipe's network."""
    torch.manual_seed(0)
    network = EmcClickNetwork(EmcClickConfig(**read_recipe(recipe).model)).eval()
    stepper = EmcClickStepper(network)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    points = rng.uniform(0, side, (10, 2))
    clicks = [Click(float(x), float(y), positive=n % 2 == 0) for n, (x, y) in enumerate(points)]
    states = [stepper.first(image, clicks[:1])[0]]
    for count in range(2, 10):
        states.append(stepper.following(image, clicks[:count], states[-1]))
    return StepCosts(
        first=median_time(lambda: stepper.first(image, clicks[:1]), repeats),
        second=median_time(lambda: stepper.following(image, clicks[:2], states[0]), repeats),
        tenth=median_time(lambda: stepper.following(image, clicks, states[-1]), repeats),
    )


def main() -> None:
    """Print the ratios."""
    lines = [f"{'recipe':20} first ms  second ms  tenth ms   second / first   tenth / first   published"]
    for recipe in RECIPES:
        costs = measure(recipe)
        first, later = PUBLISHED.get(recipe, (0, 0))
        published = f"{later / first:.2f}" if first else "-"
        lines.append(
            f"{recipe:20} {1000 * costs.first:8.0f} {1000 * costs.second:10.0f} {1000 * costs.tenth:9.0f} "
            f"{costs.second / costs.first:16.2f} {costs.tenth / costs.first:15.2f} {published:>11}"
        )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
