"""What was answered a moment ago, for the seconds until Label Studio tells it back.

The page saves its draft five seconds after a change. A click made before that comes without the regions that
were just accepted, and would be answered with them once more.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from annotation.existing import Existing
from annotation.selecting import holds
from toolkit.clicks import Click
from toolkit.masks import rle_box, rle_to_mask

SECONDS = 15.0  # the page's five, and time for a slow server
MOST_TASKS = 1000


@dataclass
class _Answer:
    points: frozenset[str]
    accepted: list[Existing]
    given: list[Existing]
    when: float = field(default=0.0)


class RecentAnswers:
    """The latest answer for each task.

    Args:
        seconds: how long an answer counts.
        clock: seconds, rising.
    """

    def __init__(self, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, _Answer] = OrderedDict()

    def accepted(
        self, task: str, points: Collection[str], click: Click, saved: Collection[str]
    ) -> list[Existing]:
        """Regions that the page has by now, though no draft says so yet.

        While points of the last answer are still pending, its regions are suggestions that the next answer
        replaces. Once they have gone, the regions were accepted or rejected. A click on one of them tells
        which: on a mask that is there, the page would have selected it instead of asking.

        Args:
            task: what is being worked on.
            points: ids of the points that are pending now.
            click: the newest of them, in pixels of the page's photo.
            saved: ids of all regions that drafts and annotations hold.
        """
        with self._lock:
            last = self._answers.get(task)
        if last is None or self._clock() - last.when > self._seconds:
            return []
        if last.points & set(points):
            regions = last.accepted
        elif any(region.id in saved for region in last.given):
            return []  # the draft has been saved: what is not in it was removed
        else:
            regions = [*last.accepted, *last.given]
        if any(_covers(region, click) for region in regions):
            return []
        return [region for region in regions if region.id not in saved]

    def keep(
        self, task: str, points: Collection[str], accepted: Sequence[Existing], given: Sequence[Existing]
    ) -> None:
        """Note an answer, and what the page had before it."""
        answer = _Answer(frozenset(points), list(accepted), list(given), self._clock())
        with self._lock:
            self._answers.pop(task, None)
            self._answers[task] = answer
            while len(self._answers) > MOST_TASKS:
                self._answers.popitem(last=False)


def _covers(region: Existing, click: Click) -> bool:
    rle = dict(region.rle)
    x, y, width, height = rle_box(rle)
    return x <= click.x < x + width and y <= click.y < y + height and holds(rle_to_mask(rle), click)
