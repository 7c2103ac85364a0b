"""What a view has found under single clicks before.

Whichever of some siblings is clicked, the click proposal network proposes much the same clicks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from models.one_click.found_object import FoundObject
from models.recently_used import RecentlyUsed

Point = tuple[float, float]
MOST_POINTS = 1000  # a few kilobytes each


@dataclass
class Known:
    """What lies under a point: an object (None: nothing), and its embedding ``[E]`` once PVM was asked."""

    found: FoundObject | None
    embedding: Tensor | None = None


class FoundMemory:
    """Answers by point, the least recently used ones dropped; threads may share it.

    Nothing but time depends on it: the networks say the same of a point each time.
    """

    def __init__(self, most: int = MOST_POINTS) -> None:
        self._known: RecentlyUsed[Point, Known] = RecentlyUsed(most)

    @property
    def nbytes(self) -> int:
        """Memory that the objects' masks and embeddings hold."""
        known = self._known.values()
        masks = sum(one.found.logits.nbytes for one in known if one.found is not None)
        return masks + sum(one.embedding.nbytes for one in known if one.embedding is not None)

    def get(self, point: Point) -> Known | None:
        """What is known of a point."""
        return self._known.get(point)

    def keep(self, points: Iterable[Point], found: Iterable[FoundObject | None]) -> None:
        """Remember what lies under some points."""
        for point, item in zip(points, found, strict=True):
            self._known.keep(point, Known(item))

    def embeddings(self, items: Sequence[FoundObject]) -> list[Tensor | None]:
        """The embedding of each object, None where it was not computed yet."""
        known = [self._of(item) for item in items]
        return [None if one is None else one.embedding for one in known]

    def keep_embeddings(self, items: Sequence[FoundObject], embedded: Iterable[Tensor]) -> None:
        """Remember the embeddings of objects that were found here."""
        for item, embedding in zip(items, embedded, strict=True):
            known = self._of(item)
            if known is not None:
                known.embedding = embedding

    def _of(self, item: FoundObject) -> Known | None:
        known = self.get(item.clicks[0]) if len(item.clicks) == 1 else None
        return known if known is not None and known.found is item else None
