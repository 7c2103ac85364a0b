"""What a click costs: the first against later ones, on small and large photos, and for fifty objects.

    python -m tests.benchmarks.bench_clicks

Times are medians of one process; only their ratios mean anything on another machine. First one view of noise
and networks with random weights; then the bundled selector, with all of its views, on coins.
"""

from __future__ import annotations

import itertools
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import cv2
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
COINS_WIDTH, COINS_HEIGHT = 768, 303  # of two of scikit-image's photos of coins side by side, pixels


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
        click=median_time(lambda: scene().segment([next(places)]), 20 * repeats),
        fifty=median_time(lambda: scene().segment_each(clicks), max(repeats // 2, 1)),
    )


@dataclass(frozen=True)
class BundledCosts:
    """Seconds of the bundled selector on a photo of coins.

    Attributes:
        side: The longer one of the photo, pixels.
        encode: Encoding it.
        click: One click after that, on something new.
        fifty: Fifty clicks in one batch.
        coins: How many objects a click on one of 48 coins selected.
        first_group: Selecting those, the first time on that photo.
        later_group: The same from another coin.
    """

    side: int
    encode: float
    click: float
    fifty: float
    coins: int
    first_group: float
    later_group: float


def coins_photo(width: int, height: int, rows: int = 2) -> np.ndarray:
    """Scikit-image's photo of 24 coins, ``rows`` times two of it, uint8 ``[H, W, 3]``."""
    from skimage import data

    coins = cv2.resize(np.tile(data.coins(), (rows, 2)), (width, height))
    return np.repeat(coins[..., None], 3, axis=2)


def clicks_on(image: np.ndarray, count: int) -> list[Click]:
    """Clicks anywhere on a photo."""
    height, width = image.shape[:2]
    points = np.random.default_rng(0).uniform(0, (width, height), (count, 2))
    return [Click(float(x), float(y)) for x, y in points]


def without_memory(selector: Selector, scene: PhotoScene) -> PhotoScene:
    """The same encoded photo, with no memory of earlier clicks."""
    return PhotoScene(selector.models, scene.views, (scene.height, scene.width), scene.photo)


def measure_bundled(side: int, repeats: int = 5) -> BundledCosts:
    """Measure the bundled selector on photos of coins, ``side`` pixels wide: clicks on 96, groups of 48."""
    selector = Selector.load()
    high = side * COINS_HEIGHT / COINS_WIDTH
    image, group = coins_photo(side, round(2 * high)), coins_photo(side, round(high), 1)
    scene = selector.encode(image)
    clicks = clicks_on(image, 200)
    places = iter(clicks)
    unit = side / COINS_WIDTH
    first, later = Click(36 * unit, 49 * unit), Click(155 * unit, 120 * unit)  # in the middle of two coins
    groups = []
    for _ in range(max(repeats // 2, 1)):
        encoded = selector.encode(group)
        started = perf_counter()
        found = encoded.select_similar(first)
        between = perf_counter()
        encoded.select_similar(later)
        groups.append((between - started, perf_counter() - between, len(found)))
    first_group, later_group, selected = (statistics.median(values) for values in zip(*groups, strict=True))
    return BundledCosts(
        side=side,
        encode=median_time(lambda: selector.encode(image), max(repeats // 2, 1)),
        click=median_time(lambda: without_memory(selector, scene).segment([next(places)]), 20 * repeats),
        fifty=median_time(
            lambda: without_memory(selector, scene).segment_each(clicks[-50:]), max(repeats // 2, 1)
        ),
        coins=int(selected),
        first_group=first_group,
        later_group=later_group,
    )


def bundled_lines(costs: Sequence[BundledCosts]) -> list[str]:
    """A table of what the bundled selector costs."""
    lines = [
        "side   encode s   click ms   first / later click   50 clicks s   group of   first time s   later s"
    ]
    for cost in costs:
        lines.append(
            f"{cost.side:4} {cost.encode:10.3f} {1000 * cost.click:10.1f} "
            f"{(cost.encode + cost.click) / cost.click:21.0f} {cost.fifty:13.2f} {cost.coins:10} "
            f"{cost.first_group:14.2f} {cost.later_group:9.2f}"
        )
    return lines


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
    lines += ["", *bundled_lines([measure_bundled(side) for side in SIDES])]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
