"""What a selection remembers between requests: the objects that were kept out of it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from toolkit.clicks import Click
from toolkit.masks import rle_iou

MOST_TASKS = 1000
SAME_OBJECT = 0.5  # IoU from which two masks are one object


@dataclass
class Remembered:
    """The last selection on a task: its masks (COCO RLE), and clicks on what does not belong to it."""

    masks: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[Click] = field(default_factory=list)
    when: float = 0.0


class SelectionMemory:
    """Negative clicks by task, for the page that accepts each answer at once and so forgets them.

    Args:
        seconds: how long a click counts.
        clock: seconds, rising.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._lock = threading.Lock()
        self._tasks: OrderedDict[str, Remembered] = OrderedDict()

    def rejected(self, task: str) -> list[Click]:
        """Clicks that count against the selection on a task."""
        with self._lock:
            known = self._tasks.get(task)
            if known is None or self._clock() - known.when > self._seconds:
                self._tasks.pop(task, None)
                return []
            return list(known.rejected)

    def continues(self, task: str, masks: Sequence[dict[str, Any]]) -> bool:
        """Whether masks (COCO RLE) go on with the last selection on a task: one of them was in it."""
        with self._lock:
            known = self._tasks.get(task)
            before = list(known.masks) if known else []
        same_size = [one for one in before if masks and one["size"] == masks[0]["size"]]
        return bool(same_size and masks and rle_iou(list(masks), same_size).max(initial=0) >= SAME_OBJECT)

    def keep(self, task: str, masks: Sequence[dict[str, Any]], rejected: Sequence[Click]) -> None:
        """Replace what is known of a task; without masks, the old ones stay."""
        with self._lock:
            known = self._tasks.pop(task, None) or Remembered()
            known.masks = list(masks) or known.masks
            known.rejected = list(dict.fromkeys(rejected))
            known.when = self._clock()
            self._tasks[task] = known
            while len(self._tasks) > MOST_TASKS:
                self._tasks.popitem(last=False)
