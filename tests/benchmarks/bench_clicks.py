"""What a click costs: the first against later ones, on small and large photos, and for fifty objects.

    python -m tests.benchmarks.bench_clicks

Times are medians of one process; only their ratios mean anything on another machine. The networks have random
weights: their speed needs no trained ones.
"""

from __future__ import annotations

import itertools
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch

from models.cpn import ProposalConfig, ProposalModel
from models.folding import fold_batch_norm
from models.one_click import OneClickConfig, OneClickModel
from models.one_click.finder import ObjectFinder
from models.pvm import VerificationConfig, VerificationModel
from models.scene import PhotoScene
from models.selector import Selector
from models.view import SelectionModels
from toolkit.clicks import Click

SIDES = (512, 1024, 2048)


@dataclass(frozen=True)
class ClickCosts:
    """Seconds on a square photo that the network sees at its own size.

    Attributes:
        side: Of the photo, pixels.
        encode: Encoding it.
        click: One click after that.
        fifty: Fifty clicks in one batch.
    """

    side: int
    encode: float
    click: float
    fifty: float


def make_selector(side: int) -> Selector:
    """A selector with random weights that looks at photos of one size as they are."""
    torch.manual_seed(0)
    networks = (
        OneClickModel(OneClickConfig()),
        ProposalModel(ProposalConfig()),
        VerificationModel(VerificationConfig()),
    )
    one_click, cpn, pvm = (network.eval() for network in networks)
    for network in networks:
        fold_batch_norm(network)
    one_click.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as `Selector.load` has it
    return Selector(SelectionModels(ObjectFinder(one_click), cpn, pvm), working_sizes=(side,))


def median_time(
    action: Callable[[], object], repeats: int, clock: Callable[[], float] = perf_counter
) -> float:
    """Median seconds of an action by a clock, after one run that does not count."""
    action()
    seconds = []
    for _ in range(repeats):
        started = clock()
        action()
        seconds.append(clock() - started)
    return statistics.median(seconds)


def measure(side: int, repeats: int = 5) -> ClickCosts:
    """Measure one photo size."""
    selector = make_selector(side)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    points = rng.uniform(0, side, (50, 2))
    clicks = [Click(float(x), float(y)) for x, y in points]
    views = selector.encode(image).views

    def scene() -> PhotoScene:
        """The encoded photo, with no memory of earlier clicks."""
        return PhotoScene(selector.models, views, (side, side))

    places = itertools.cycle(clicks)
    return ClickCosts(
        side=side,
        encode=median_time(lambda: selector.encode(image), max(repeats // 2, 1)),
        click=median_time(lambda: scene().segment([next(places)]), 4 * repeats),
        fifty=median_time(lambda: scene().segment_each(clicks), max(repeats // 2, 1)),
    )


def main() -> None:
    """Print the ratios."""
    costs = [measure(side) for side in SIDES]
    lines = [
        "side   encode s   click ms   first click / later click   50 clicks / 1 click   click / click at 512"
    ]
    for cost in costs:
        first = (cost.encode + cost.click) / cost.click
        lines.append(
            f"{cost.side:4} {cost.encode:10.3f} {1000 * cost.click:10.1f} {first:27.0f} "
            f"{cost.fifty / cost.click:21.1f} {cost.click / costs[0].click:22.2f}"
        )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
