"""A photo under a click-by-click system: sequences of clicks are replayed, and what prefixes gave is kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

from models.systems.clicking.state import State
from models.systems.clicking.stepper import Stepper
from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.masks import mask_box
from toolkit.selection import Instance

MEMORY = 64 << 20  # bytes of the states that a scene keeps

StateT = TypeVar("StateT", bound=State)


class InteractiveScene(Generic[StateT]):
    """See :class:`toolkit.systems.Scene`.

    An answer depends on the clicks alone. States after earlier prefixes of clicks are kept, so that one more
    click costs one pass; the least recently used go when they hold too much memory, and are computed again
    when needed.

    Args:
        image: uint8 ``[H, W, 3]`` RGB.
        stepper: The system.
        memory: Bytes that kept states may take; the newest is always kept.
    """

    def __init__(self, image: np.ndarray, stepper: Stepper[StateT], memory: int = MEMORY) -> None:
        self.image, self.stepper, self.memory = image, stepper, memory
        self.height, self.width = image.shape[:2]
        self._states: OrderedDict[tuple[Click, ...], StateT] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Memory of the photo and of the kept states, bytes."""
        with self._lock:
            return self.image.nbytes + self._held

    def segment(self, clicks: Sequence[Click]) -> Instance | None:
        """The object that all clicks are about; None where nothing is selected.

        Raises:
            InputError: No click is positive, or one lies outside the photo.
        """
        ordered = positive_first(clicks)
        self._check(ordered)
        return self._instance(self._state(ordered), ordered[0])

    def segment_each(self, clicks: Sequence[Click]) -> list[Instance | None]:
        """The object under each click; None where nothing is selected."""
        self._check(clicks)
        missing = [c for c in dict.fromkeys(clicks) if self._kept((c,)) is None]
        fresh = dict(zip(missing, self.stepper.first(self.image, missing), strict=True)) if missing else {}
        for click, state in fresh.items():
            self._keep((click,), state)
        answers = []
        for click in clicks:
            state = fresh[click] if click in fresh else self._state((click,))
            answers.append(self._instance(state, click))
        return answers

    def _state(self, clicks: tuple[Click, ...]) -> StateT:
        """The state after a sequence: from the longest prefix that is kept on."""
        done, state = 0, None
        for length in range(len(clicks), 0, -1):
            state = self._kept(clicks[:length])
            if state is not None:
                done = length
                break
        if state is None:
            state = self.stepper.first(self.image, clicks[:1])[0]
            self._keep(clicks[:1], state)
            done = 1
        for length in range(done + 1, len(clicks) + 1):
            state = self.stepper.following(self.image, clicks[:length], state)
            self._keep(clicks[:length], state)
        return state

    def _instance(self, state: StateT, click: Click) -> Instance | None:
        mask = state.mask(self.height, self.width)
        return Instance(mask, mask_box(mask), state.score(), click) if mask.any() else None

    def _check(self, clicks: Sequence[Click]) -> None:
        for click in clicks:
            if not click.inside(self.height, self.width):
                raise InputError(
                    f"click {click.x:g},{click.y:g}: outside the photo of {self.width} × {self.height} pixels"
                )

    def _kept(self, clicks: tuple[Click, ...]) -> StateT | None:
        with self._lock:
            state = self._states.get(clicks)
            if state is not None:
                self._states.move_to_end(clicks)
            return state

    def _keep(self, clicks: tuple[Click, ...], state: StateT) -> None:
        with self._lock:
            old = self._states.pop(clicks, None)
            if old is not None:
                self._held -= old.nbytes
            self._states[clicks] = state
            self._held += state.nbytes
            while self._held > self.memory and len(self._states) > 1:
                _, dropped = self._states.popitem(last=False)
                self._held -= dropped.nbytes


def positive_first(clicks: Sequence[Click]) -> tuple[Click, ...]:
    """The same clicks, with the first positive one moved to the front: no system starts from a negative one.

    Raises:
        InputError: None is positive.
    """
    for index, click in enumerate(clicks):
        if click.positive:
            return (click, *clicks[:index], *clicks[index + 1 :])
    raise InputError("clicks: at least one must be positive, on the object to select")
