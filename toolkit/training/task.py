"""What a module must answer to be trained by `fit`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch


class TrainingTask(Protocol):
    """A model together with its data, its losses and its quick validation.

    The loader's workers are separate processes, so a task must pickle. Attributes that are torch modules
    (`model` and any frozen one) stay behind: `sample` and `collate` must not use them.
    """

    model: torch.nn.Module
    """What trains."""

    def sample(self, index: int) -> Any:
        """Return the `index`-th sample of an endless stream; it depends on the seed and `index` only."""
        ...

    def collate(self, samples: list[Any]) -> Any:
        """Return one batch (dict of tensors and lists) of the samples; runs in the loader's workers."""
        ...

    def losses(self, model: torch.nn.Module, batch: Any) -> Mapping[str, torch.Tensor]:
        """Return scalar losses: "total" is minimised, the others are logged.

        `model` is the task's own, `batch` lies on its device, and autocast is on when the schedule asks for
        mixed precision.
        """
        ...

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return optimiser groups: {"params": …} and optionally "weight_decay" and "lr_scale" (times lr)."""
        ...

    def evaluate(self, model: torch.nn.Module) -> Mapping[str, float]:
        """Return quick validation figures, {} for none; the highest "score" marks the best checkpoint."""
        ...

    def save(self, model: torch.nn.Module, folder: Path) -> None:
        """Write the weights to be used from now on into `folder`."""
        ...
