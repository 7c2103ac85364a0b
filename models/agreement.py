"""What a click means where several views propose several masks: the one that agrees best with all of them.

A small object's parts, the object and its surroundings are all proposed, and the networks' own scores tell
them apart badly. So every proposal is taken for the truth with a probability that follows from its score and
from how near its middle the click lies, and the answer is the proposal whose expected IoU with that truth is
the largest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.overlaps import overlaps
from models.placed_object import PlacedObject


def most_agreed(
    items: Sequence[PlacedObject], voters: Sequence[PlacedObject], votes: Sequence[float]
) -> PlacedObject | None:
    """The object of the largest expected IoU with the voters, each true in proportion to its vote."""
    if len(items) <= 1:
        return items[0] if items else None
    expected = overlaps(items, voters) @ np.asarray(votes)
    return items[int(expected.argmax())]


def agreed(items: Sequence[PlacedObject]) -> PlacedObject | None:
    """The proposal that agrees best with all of them; None of none."""
    return most_agreed(items, items, [item.vote for item in items])


def agreement(items: Sequence[PlacedObject]) -> float:
    """How far a click's proposals agree on one of them: its expected IoU with the truth, 0–1; 0 of none.

    Wherever in them the click lies: this is asked of clicks that were placed in the middle of one of them.
    """
    votes = np.array([item.claim for item in items])
    return float((overlaps(items, items) @ votes).max() / votes.sum()) if votes.sum() > 0 else 0.0
