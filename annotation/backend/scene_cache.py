"""Encoded photos by content: each is encoded once, however many ask, within a memory budget."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

logger = logging.getLogger(__name__)

# What a scene is taken to hold that does not say so: float32 features at stride 4 of some hundred channels.
BYTES_PER_PIXEL = 32


class Shelf(Protocol):
    """A second, slower place for scenes, such as a disk."""

    def take(self, key: str) -> Any | None:
        """The scene of `key`, None if it is not there."""

    def put(self, key: str, scene: Any) -> None:
        """Keep the scene of `key`."""


@dataclass
class CacheCounts:
    """What happened so far: found in memory, found on the shelf, encoded, joined to a run, thrown out."""

    hits: int = 0
    shelf_hits: int = 0
    misses: int = 0
    joined: int = 0
    evicted: int = 0


class SceneCache:
    """Least recently used scenes, bounded in bytes.

    Args:
        budget: Bytes that the scenes held may take together. A single larger scene is used but not kept.
        shelf: Where to look before encoding, and where to put what was encoded.
    """

    def __init__(self, budget: int, shelf: Shelf | None = None) -> None:
        self.budget = budget
        self.counts = CacheCounts()
        self._shelf = shelf
        self._lock = threading.Lock()
        self._scenes: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._running: dict[str, Future[Any]] = {}
        self._bytes = 0

    def __contains__(self, key: str) -> bool:
        with self._lock:
            return key in self._scenes

    def __len__(self) -> int:
        with self._lock:
            return len(self._scenes)

    @property
    def nbytes(self) -> int:
        """Bytes held by scenes in memory."""
        with self._lock:
            return self._bytes

    def get(self, key: str, encode: Callable[[], Any], timeout: float | None = None) -> Any:
        """The scene of `key`, from memory, the shelf, a run under way, or by encoding it now.

        Args:
            key: what the scene depends on: model version and content.
            encode: makes the scene; called at most once for all who ask together.
            timeout: seconds to wait for somebody else's run.

        Raises:
            TimeoutError: the other run took longer.
            Exception: what `encode` raised, to everyone who waited for it.
        """
        with self._lock:
            held = self._scenes.get(key)
            if held is not None:
                self._scenes.move_to_end(key)
                self.counts.hits += 1
                return held[0]
            running = self._running.get(key)
            if running is None:
                mine: Future[Any] = Future()
                self._running[key] = mine
            else:
                self.counts.joined += 1
        if running is not None:
            return running.result(timeout)
        try:
            scene = self._make(key, encode)
        except BaseException as error:
            with self._lock:
                self._running.pop(key, None)
            mine.set_exception(error)
            raise
        with self._lock:
            self._running.pop(key, None)
            self._keep(key, scene)
        mine.set_result(scene)
        return scene

    def measure(self, key: str) -> None:
        """Weigh a scene again: some remember more after their first click."""
        with self._lock:
            held = self._scenes.get(key)
            if held is not None:
                self._keep(key, held[0])

    def clear(self) -> None:
        """Forget every scene in memory (the shelf keeps its own)."""
        with self._lock:
            self._scenes.clear()
            self._bytes = 0

    def _make(self, key: str, encode: Callable[[], Any]) -> Any:
        if self._shelf is not None:
            scene = self._shelf.take(key)
            if scene is not None:
                self.counts.shelf_hits += 1
                return scene
        scene = encode()
        self.counts.misses += 1
        if self._shelf is not None:
            self._shelf.put(key, scene)
        return scene

    def _keep(self, key: str, scene: Any) -> None:
        """Hold a scene and throw out the least recently used ones beyond the budget. Called with the lock."""
        size = scene_bytes(scene)
        old = self._scenes.pop(key, None)
        if old is not None:
            self._bytes -= old[1]
        if size > self.budget:
            logger.warning(
                "a scene of %d MB is larger than the cache of %d MB", size >> 20, self.budget >> 20
            )
            return
        self._scenes[key] = (scene, size)
        self._bytes += size
        while self._bytes > self.budget:
            _, (_, dropped) = self._scenes.popitem(last=False)
            self._bytes -= dropped
            self.counts.evicted += 1


def scene_bytes(scene: Any) -> int:
    """Bytes of memory a scene holds: its `nbytes`, or an estimate by the size of its photo."""
    size = getattr(scene, "nbytes", None)
    if isinstance(size, int):
        return size
    return int(scene.height) * int(scene.width) * BYTES_PER_PIXEL
