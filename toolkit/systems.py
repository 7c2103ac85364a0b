"""What every selection system answers: SimpSON, the compared ones, and whatever a user brings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from toolkit.clicks import Click
from toolkit.selection import Instance


@runtime_checkable
class Scene(Protocol):
    """One encoded photo. A click never changes it, so it can be kept and shared.

    Clicks are in pixels of the photo, masks cover the whole photo.
    """

    height: int
    width: int

    def segment(self, clicks: Sequence[Click]) -> Instance | None:
        """Return the one object that all clicks are about; None where there is none."""
        ...

    def segment_each(self, clicks: Sequence[Click]) -> list[Instance | None]:
        """Return one object per click, in one batched pass; None where there is none."""
        ...


@runtime_checkable
class GroupScene(Scene, Protocol):
    """A scene that also finds siblings (SimpSON's)."""

    def select_similar(self, click: Click) -> list[Instance]:
        """Return the clicked object, then everything like it; [] where nothing is under the click."""
        ...


class System(Protocol):
    """A loaded model that encodes photos.

    A system may also have a `fingerprint`, a text that changes whenever its weights or settings do: an
    evaluation that runs again reuses its records only for the same fingerprint (without one, the same name).
    """

    name: str

    def encode(self, image: np.ndarray) -> Scene:
        """Encode a photo, uint8 [H, W, 3] RGB; all clicks after it are light."""
        ...


def fingerprint_of(system: System) -> str:
    """Return the system's name, with its `fingerprint` where it has one."""
    fingerprint = getattr(system, "fingerprint", None)
    return f"{system.name}@{fingerprint}" if fingerprint else system.name
