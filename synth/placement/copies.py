"""How many copies of an object a region takes."""

from __future__ import annotations

MAX_COPIES = 10  # SimpSON, Section 4: "with a maximum of 10"


def count_copies(
    object_area: float, region_area: float, coverage: float = 0.1, at_most: int = MAX_COPIES
) -> int:
    """Number of copies by the object-to-region area ratio.

    The paper says that the ratio decides and that ten is the most. Here the copies of one object together
    cover at most the share ``coverage`` of the region, and there is always one.

    Args:
        object_area: pixels of the object as it will be pasted.
        region_area: pixels of the region.
        coverage: share of the region, 0 to 1.
        at_most: upper limit.
    """
    if object_area <= 0:
        return 0
    return int(min(max(coverage * region_area / object_area, 1), at_most))
