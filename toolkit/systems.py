"""What every selection system answers: SimpSON, the compared ones, and whatever a user brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from toolkit.clicks import Click
from toolkit.exemplars import Exemplar
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


@runtime_checkable
class ProposingScene(Scene, Protocol):
    """A scene that proposes clicks on what is like the clicked object (SimpSON's CPN)."""

    def propose_clicks(self, click: Click, limit: int = 100) -> list[tuple[Click, float]]:
        """Return at most ``limit`` clicks with confidences 0–1, best first; [] with nothing under the click.

        Raises:
            UnsupportedSystem: the weights hold no network for it.
        """
        ...


@runtime_checkable
class VerifyingScene(Scene, Protocol):
    """A scene that tells how alike clicked objects are (SimpSON's PVM)."""

    def similarities(self, clicks: Sequence[Click]) -> np.ndarray:
        """Return float [N, N], 0–1: row i holds how like the object under click i those under all clicks are.

        NaN where one of the two was not found.

        Raises:
            UnsupportedSystem: the weights hold no network for it.
        """
        ...


@runtime_checkable
class ExemplarScene(Scene, Protocol):
    """A scene that learns from objects segmented before (iCMFormer++'s).

    `recalls` says what a mask is of: "all" the objects of the exemplars' kind but those themselves, as one
    mask that every click is about, or only the "one" object that is clicked.
    """

    recalls: str

    def segment_like(self, clicks: Sequence[Click], exemplars: Sequence[Exemplar]) -> Instance | None:
        """Return what the clicks are about, one or all by `recalls`, helped by exemplars of its kind.

        None where there is nothing; without exemplars the same as `segment`.
        """
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


@runtime_checkable
class SizedSystem(System, Protocol):
    """A system that says how large it is."""

    @property
    def parameters(self) -> int:
        """Numbers that it learned, over all the networks that answer clicks on one object."""
        ...


@runtime_checkable
class VariableSystem(System, Protocol):
    """A system whose parts can be switched and replaced, one at a time, as ablations do.

    `switches` says how it is set: columns of the published ablation tables, to True, False or a text.
    """

    @property
    def switches(self) -> Mapping[str, bool | str]:
        """Names to True, False or a text."""
        ...

    def with_selection(self, **settings: Any) -> System:
        """Return the same system with other parameters of the selection.

        `iterate` (IDS) and `verify` (PVM) are True or False; what else there is, the system says.

        Raises:
            InputError: there is no such parameter.
        """
        ...

    def with_network(self, source: str) -> System:
        """Return the same system with one network replaced by the one in a folder.

        Raises:
            InputError: the folder holds no network of this system.
        """
        ...

    def without_clicks(self) -> System:
        """Return the same system, whose networks do not see the clicks: they only filter what is found."""
        ...


def fingerprint_of(system: System) -> str:
    """Return the system's name, with its `fingerprint` where it has one."""
    fingerprint = getattr(system, "fingerprint", None)
    return f"{system.name}@{fingerprint}" if fingerprint else system.name
