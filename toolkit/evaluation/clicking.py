"""Where the simulated person clicks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from toolkit.clicks import Click, center_click
from toolkit.errors import InputError

# Multi-stage fusion, section 5 (a user study): clicks lie 24 px from the mask's centre on average, with a
# standard deviation of 27 px …
HUMAN_DISTANCE = 24.0
HUMAN_SPREAD = 27.0
# … on objects of MSRA10K. The study does not give their size: its photos have some 400 × 300 px, of which an
# object takes about a fifth, which is a disc of this radius.
HUMAN_RADIUS = 87.0


@dataclass(frozen=True)
class Aim:
    """How exactly clicks are placed. A click that leaves its object goes to the nearest pixel of it.

    Attributes:
        jitter: standard deviation of both coordinates around the spot that the protocol chooses, as a
            fraction of the radius of a disc with the object's area. 0 is the centre click of the protocols,
            which flatters every system: people click less exactly (RClicks, NeurIPS 2024).
        human: distances as in the user study of multi-stage fusion, scaled to the object, instead.

    Raises:
        InputError: the jitter is no number of 0 or more, or both are asked for.
    """

    jitter: float = 0.0
    human: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.jitter < float("inf"):
            raise InputError(f"jitter: expected a number of 0 or more, got {self.jitter}")
        if self.human and self.jitter:
            raise InputError("clicks: choose either a jitter or human-like clicks, not both")

    @property
    def exact(self) -> bool:
        """Whether clicks go where the protocol wants them."""
        return not self.human and self.jitter == 0

    def move(self, spot: Click, region: np.ndarray, rng: np.random.Generator) -> Click:
        """Return the click that is made for a spot on a region.

        Args:
            spot: where the protocol clicks.
            region: bool [H, W], what the click is about; not empty.
            rng: the source of chance.
        """
        if self.exact:
            return spot
        rows, columns = np.nonzero(region)
        radius = math.sqrt(len(rows) / math.pi)
        x, y = np.array([spot.x, spot.y]) + self._offset(radius, rng)
        nearest = int(np.argmin((columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2))
        return replace(spot, x=float(columns[nearest]) + 0.5, y=float(rows[nearest]) + 0.5)

    def spot(self, mask: np.ndarray, rng: np.random.Generator) -> Click:
        """Return the click on an object, bool [H, W], not empty: on its deepest pixel, or near it."""
        return self.move(center_click(mask), mask, rng)

    def _offset(self, radius: float, rng: np.random.Generator) -> np.ndarray:
        if not self.human:
            return rng.normal(0, self.jitter * radius, 2)
        # of the non-negative distributions with this mean and deviation, the gamma distribution
        shape = (HUMAN_DISTANCE / HUMAN_SPREAD) ** 2
        distance = rng.gamma(shape, HUMAN_DISTANCE / shape) * radius / HUMAN_RADIUS
        angle = rng.uniform(0, 2 * math.pi)
        return distance * np.array([math.cos(angle), math.sin(angle)])


EXACT = Aim()


def object_click(mask: np.ndarray, jitter: float, rng: np.random.Generator) -> Click:
    """Return a click on the object's deepest pixel, or near it.

    Args:
        mask: bool [H, W], not empty.
        jitter: see `Aim`.
        rng: the source of chance.
    """
    return Aim(jitter).spot(mask, rng)


def piece_at(region: np.ndarray, click: Click) -> np.ndarray:
    """Return the connected piece (8 neighbours) of a region, bool [H, W], that a click lies on."""
    _, labels = cv2.connectedComponents(region.astype(np.uint8), connectivity=8)
    return labels == labels[click.row, click.column]


def random_of(seed: int, *ids: int) -> np.random.Generator:
    """Return a generator of its own for the thing with these ids: the same in any order of work."""
    return np.random.default_rng([seed, *(number & (2**64 - 1) for number in ids)])
