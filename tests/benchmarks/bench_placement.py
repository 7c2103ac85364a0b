"""What placing ten objects in a region costs: the exact search against the literal algorithm.

    python -m tests.benchmarks.bench_placement

The literal algorithm transforms the whole photo exactly after every paste: once with SciPy, the transform
most would use, and once with OpenCV's, the fastest exact one at hand. Times are the least of several
runs in one process. The placements are compared paste by paste.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import process_time

import cv2
import numpy as np
from scipy import ndimage

from synth.placement import FreeSpace, distance_map
from toolkit.blending import PlacedMask

SIZES = ((480, 640), (3000, 4000))
PASTES = 10
RADIUS = 0.04  # of the objects, by the photo's height

Peak = tuple[int, int, int]


@dataclass(frozen=True)
class PlacementCosts:
    """Seconds for ten pastes in one region, means over some regions.

    Attributes:
        height: Of the photo, pixels.
        width: Of the photo, pixels.
        exact: This project's search.
        opencv: The literal algorithm with OpenCV's exact transform.
        scipy: The literal algorithm with SciPy's.
        same: Share of pastes at the very same place.
        equal: Share of pastes at the same place or one of the same distance.
    """

    height: int
    width: int
    exact: float
    opencv: float
    scipy: float
    same: float
    equal: float


def ragged_region(height: int, width: int, seed: int) -> np.ndarray:
    """A region such as a segmentation gives: broad, ragged at the border, with things standing in it."""
    rng = np.random.default_rng(seed)
    region = np.zeros((height, width), np.uint8)
    cv2.ellipse(
        region, (width // 2, int(height * 0.7)), (int(width * 0.6), int(height * 0.4)), 0, 0, 360, 1, -1
    )
    noise = cv2.GaussianBlur(rng.random((height // 8, width // 8)).astype(np.float32), (0, 0), 1)
    region[cv2.resize(noise, (width, height)) > 0.72] = 0
    for _ in range(12):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.circle(region, centre, int(rng.integers(height // 30, height // 8)), 0, -1)
    return region > 0


def disc(radius: int) -> np.ndarray:
    """bool [2 r + 1, 2 r + 1]."""
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return rows**2 + columns**2 <= radius**2


def place_exact(region: np.ndarray, mask: np.ndarray) -> list[Peak]:
    """Ten pastes with the search."""
    space, peaks, radius = FreeSpace(region), [], mask.shape[0] // 2
    for _ in range(PASTES):
        peak = space.peak()
        if peak is None:
            break
        peaks.append((peak.x, peak.y, peak.squared))
        space.remove(PlacedMask(peak.x - radius, peak.y - radius, mask))
    return peaks


def place_literally(
    region: np.ndarray, mask: np.ndarray, transform: Callable[[np.ndarray], np.ndarray]
) -> list[Peak]:
    """Ten pastes, each with a distance map of the whole photo."""
    free, peaks, radius = region.copy(), [], mask.shape[0] // 2
    height, width = region.shape
    for _ in range(PASTES):
        distance = transform(free)
        y, x = divmod(int(distance.argmax()), width)
        if distance[y, x] == 0:
            break
        peaks.append((x, y, round(float(distance[y, x]) ** 2)))
        y0, x0, y1, x1 = (
            max(y - radius, 0),
            max(x - radius, 0),
            min(y + radius + 1, height),
            min(x + radius + 1, width),
        )
        free[y0:y1, x0:x1] &= ~mask[y0 - y + radius : y1 - y + radius, x0 - x + radius : x1 - x + radius]
    return peaks


def scipy_map(free: np.ndarray) -> np.ndarray:
    """SciPy's exact transform; what lies outside the photo is not free."""
    return ndimage.distance_transform_edt(np.pad(free, 1))[1:-1, 1:-1]


def measure(
    height: int, width: int, regions: int = 4, repeats: int = 5, with_scipy: bool = True
) -> PlacementCosts:
    """Time both ways on some regions of a size, and compare where they place."""
    cv2.setNumThreads(1)
    mask = disc(max(int(height * RADIUS), 1))
    times = np.zeros((regions, 3))
    same = equal = total = 0
    for seed in range(regions):
        region = ragged_region(height, width, seed)
        times[seed, 0], found = least(lambda region=region: place_exact(region, mask), repeats)
        times[seed, 1], literal = least(lambda region=region: place_literally(region, mask, distance_map), 2)
        if with_scipy:
            times[seed, 2], _ = least(lambda region=region: place_literally(region, mask, scipy_map), 1)
        for mine, theirs in zip(found, literal, strict=True):
            same += mine == theirs
            equal += mine[2] == theirs[2]
            total += 1
    exact, opencv, scipy = times.mean(axis=0)
    return PlacementCosts(height, width, exact, opencv, scipy, same / total, equal / total)


def least(work: Callable[[], list[Peak]], repeats: int) -> tuple[float, list[Peak]]:
    """The least time of several runs, and what came out."""
    best, result = float("inf"), []
    for _ in range(repeats):
        start = process_time()
        result = work()
        best = min(best, process_time() - start)
    return best, result


def main() -> None:
    """Print a table."""
    write = sys.stdout.write
    write("| photo | search | literal, OpenCV | literal, SciPy | faster | same place | same distance |\n")
    write("| --- | --- | --- | --- | --- | --- | --- |\n")
    for height, width in SIZES:
        costs = measure(height, width, regions=4 if height < 1000 else 2)
        ratios = f"{costs.opencv / costs.exact:.1f}× and {costs.scipy / costs.exact:.1f}×"
        write(
            f"| {width}×{height} | {costs.exact * 1e3:.1f} ms | {costs.opencv * 1e3:.0f} ms | "
            f"{costs.scipy * 1e3:.0f} ms | {ratios} | {costs.same:.0%} | {costs.equal:.0%} |\n"
        )


if __name__ == "__main__":
    main()
