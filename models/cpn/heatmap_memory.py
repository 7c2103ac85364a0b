"""The last heatmaps of a scene: later rounds and repeated clicks often have the same exemplars."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from torch import Tensor

from models.recently_used import RecentlyUsed

MOST_HEATMAPS = 8


class HeatmapMemory:
    """Heatmaps by their exemplars, the least recently used ones dropped; threads may share it.

    Nothing but time depends on it: the network says the same of the same exemplars each time.
    """

    def __init__(self, most: int = MOST_HEATMAPS) -> None:
        self._known: RecentlyUsed[bytes, Tensor] = RecentlyUsed(most)

    @property
    def nbytes(self) -> int:
        """Memory that the heatmaps hold."""
        return sum(one.element_size() * one.nelement() for one in self._known.values())

    def get(self, masks: Tensor, boxes: Tensor, compute: Callable[[], Tensor]) -> Tensor:
        """The heatmap of some exemplars, computed when they are new.

        Args:
            masks: ``[M, H / 4, W / 4]``, as given to the network.
            boxes: ``[M, 4]``.
            compute: Asks the network.
        """
        key = _digest(masks, boxes)
        known = self._known.get(key)
        if known is None:
            known = compute()  # at worst two threads compute the same
            self._known.keep(key, known)
        return known


def _digest(masks: Tensor, boxes: Tensor) -> bytes:
    digest = hashlib.blake2b(repr((masks.shape, masks.dtype, boxes.dtype)).encode())
    for part in (masks, boxes):
        digest.update(part.detach().cpu().numpy().tobytes())
    return digest.digest()
