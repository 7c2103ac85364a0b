"""From annotators' work to better weights: make splits, fine-tune, compare on the part held back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What a training run came to.

    Attributes:
        better: whether the new weights beat those that were served, on the part held back.
        before: scores of the weights that were served.
        after: scores of the new weights.
        weights: folder of the new weights.
        version: name of the new weights.
        counts: photos and objects learned from and held back.
    """

    better: bool
    before: dict[str, float | None] = field(default_factory=dict)
    after: dict[str, float | None] = field(default_factory=dict)
    weights: Path | None = None
    version: str = ""
    counts: dict[str, int] = field(default_factory=dict)

    def summary(self) -> str:
        """The outcome in one sentence."""
        scores = ", ".join(
            f"{name} {_number(self.before.get(name))} → {_number(value)}" for name, value in self.after.items()
        )
        if self.better:
            return f"better on the part held back ({scores}): now served as {self.version}"
        return f"not better on the part held back ({scores}): the old weights stay"

    def report(self) -> dict[str, Any]:
        """The outcome as JSON."""
        return {
            "better": self.better,
            "before": self.before,
            "after": self.after,
            "weights": str(self.weights) if self.weights else None,
            "version": self.version,
            "counts": self.counts,
        }


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
