"""The donors of a split as a table sorted by size, from which fitting ones are drawn quickly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.objects.filters import record_faults
from synth.settings import ObjectSettings
from toolkit.split import Split


@dataclass(frozen=True)
class DonorIndex:
    """Annotations that may be copied, sorted by area.

    Attributes:
        places: int64 [N], their places in the split's `annotations`.
        area: float64 [N], pixels, ascending.
        category: int64 [N], ids of the split.
        cumulative: float64 [N + 1], running sum of the weights they are drawn with.
        refused: how many annotations each reason ruled out (the first that holds).
    """

    places: np.ndarray
    area: np.ndarray
    category: np.ndarray
    cumulative: np.ndarray
    refused: dict[str, int]

    def __len__(self) -> int:
        return len(self.places)

    def draw(self, rng: np.random.Generator, least: float, most: float) -> int | None:
        """Draw an entry by weight among those of an area in a range; None when there is none."""
        first, last = np.searchsorted(self.area, least, "left"), np.searchsorted(self.area, most, "right")
        if first >= last:
            return None
        low, high = self.cumulative[first], self.cumulative[last]
        entry = np.searchsorted(self.cumulative, rng.uniform(low, high), "right") - 1
        return int(np.clip(entry, first, last - 1))


def index_donors(split: Split, settings: ObjectSettings, seed: int) -> DonorIndex:
    """Collect the donors of a split whose records show no fault.

    An object's weight is one by the square root of how many of its category there are: rare kinds come often
    enough to be learnt, common ones still come more often.
    """
    columns, images = split.annotation_columns, split.image_columns
    order = np.argsort(images.id, kind="stable")
    at = np.searchsorted(images.id, columns.image_id, sorter=order)
    known = np.zeros(len(columns.id), bool)
    within = at < len(order)
    known[within] = images.id[order[at[within]]] == columns.image_id[within]
    photo = order[np.where(known, at, 0)] if len(order) else np.zeros(len(columns.id), np.int64)
    faults = {"its image is not in the split": ~known}
    faults |= record_faults(columns, images.width[photo], images.height[photo], settings)
    left = np.ones(len(columns.id), bool)
    refused = {}
    for reason, fault in faults.items():
        if count := int(np.count_nonzero(left & fault)):
            refused[reason] = count
        left &= ~fault
    places = np.flatnonzero(left)
    if settings.pool is not None and len(places) > settings.pool:
        rng = np.random.default_rng([seed, 0x706F6F6C])  # a stream of its own
        places = rng.choice(places, settings.pool, replace=False)
    places = places[np.lexsort((places, columns.area[places]))]
    category = columns.category_id[places]
    _, inverse, counts = np.unique(category, return_inverse=True, return_counts=True)
    weights = 1.0 / np.sqrt(counts[inverse]) if len(places) else np.zeros(0)
    cumulative = np.concatenate([[0.0], np.cumsum(weights)])
    return DonorIndex(places, columns.area[places], category, cumulative, refused)
