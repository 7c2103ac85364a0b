"""The selection system a backend serves: loaded in the background, replaceable while it runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from toolkit.errors import InputError

logger = logging.getLogger(__name__)

State = Literal["loading", "ready", "failing"]


@dataclass(frozen=True)
class Served:
    """A loaded system and the version it is served under."""

    system: Any
    version: str


class NotReadyError(RuntimeError):
    """The model is still loading, or could not be loaded."""


class ModelHolder:
    """Loads a system on a thread of its own, and says how that goes.

    Args:
        load: gives the system and its version; slow.
        version: what to answer until it is loaded.
    """

    def __init__(self, load: Callable[[], Served], version: str = "declutter") -> None:
        self._load = load
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._served: Served | None = None
        self._version = version
        self._problem = ""

    def start(self) -> None:
        """Begin to load, without waiting."""
        threading.Thread(target=self._run, name="declutter-load", daemon=True).start()

    @property
    def state(self) -> State:
        """Whether the model is loading, ready or failing."""
        if self._served is not None:
            return "ready"
        return "failing" if self._problem else "loading"

    @property
    def problem(self) -> str:
        """Why the model is failing, in words; empty when it is not."""
        return self._problem

    @property
    def version(self) -> str:
        """The version that is served, or will be."""
        served = self._served
        return served.version if served else self._version

    def get(self, timeout: float = 0.0) -> Served:
        """The system, waiting for it up to `timeout` seconds.

        Raises:
            NotReadyError: it is not there; says why.
        """
        self._done.wait(timeout)
        served = self._served
        if served is None:
            raise NotReadyError(self._problem or "the model is still loading; try again in a moment")
        return served

    def replace(self, served: Served) -> None:
        """Serve another system from now on."""
        with self._lock:
            self._served, self._problem = served, ""
        self._done.set()

    def _run(self) -> None:
        try:
            served = self._load()
        except Exception as error:
            problem = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            self._problem = f"the model could not be loaded: {problem}"
            logger.error("%s", self._problem, exc_info=not isinstance(error, InputError))
            self._done.set()
        else:
            self.replace(served)
