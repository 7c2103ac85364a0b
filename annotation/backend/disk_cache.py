"""Encoded photos on disk, for systems that can take their scenes apart into arrays."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import InputError
from toolkit.files import atomic_path

logger = logging.getLogger(__name__)

SUFFIX = ".npz"


class DiskCache:
    """Scenes as `.npz` files, least recently used ones deleted beyond a budget.

    Works with systems that have `scene_arrays(scene) -> dict[str, ndarray]` and `scene_from_arrays(arrays)`;
    for others it keeps nothing.

    Args:
        folder: made where missing.
        budget: bytes that the files may take together.
        system: the system whose scenes are kept.
    """

    def __init__(self, folder: Path, budget: int, system: Any) -> None:
        self.folder, self.budget = Path(folder), budget
        self._take_apart = getattr(system, "scene_arrays", None)
        self._put_together = getattr(system, "scene_from_arrays", None)
        self._lock = threading.Lock()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{folder}: cannot make the cache folder ({error.strerror}); choose another"
            ) from error

    @property
    def usable(self) -> bool:
        """Whether the system can take its scenes apart."""
        return self._take_apart is not None and self._put_together is not None

    def take(self, key: str) -> Any | None:
        """The scene of `key`, None if it is not there or was damaged."""
        if self._put_together is None:
            return None
        path = self._path(key)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                scene = self._put_together(dict(arrays))
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError) as error:
            logger.warning("dropped a damaged scene from the disk cache: %s", type(error).__name__)
            path.unlink(missing_ok=True)
            return None
        return scene

    def put(self, key: str, scene: Any) -> None:
        """Keep the scene of `key`; a full or unwritable disk is logged and does no harm."""
        if self._take_apart is None:
            return
        try:
            with atomic_path(self._path(key)) as temporary:
                np.savez(temporary, **self._take_apart(scene))
            self._make_room()
        except (OSError, InputError) as error:
            logger.warning("cannot write to the disk cache: %s", error)

    def _path(self, key: str) -> Path:
        return self.folder / (hashlib.sha256(key.encode()).hexdigest() + SUFFIX)

    def _make_room(self) -> None:
        with self._lock:
            files = [(path.stat(), path) for path in self.folder.glob(f"*{SUFFIX}")]
            total = sum(status.st_size for status, _ in files)
            for status, path in sorted(files, key=lambda item: item[0].st_mtime):
                if total <= self.budget:
                    break
                path.unlink(missing_ok=True)
                total -= status.st_size
