"""Training the chooser on collected choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.chooser import ChooserConfig, ChooserModel
from models.chooser.collecting import Choice
from models.tasks.networks import as_network
from models.tasks.one_click import decay_groups


@dataclass(frozen=True)
class ChoiceBatch:
    """B clicks, padded to the N proposals of the one that has most.

    Attributes:
        features: float ``[B, N, F]``.
        ious: float ``[B, N]``.
        present: bool ``[B, N]``.
    """

    features: Tensor
    ious: Tensor
    present: Tensor

    def to(self, device: torch.device, non_blocking: bool = False) -> ChoiceBatch:
        """The same on another device."""
        return ChoiceBatch(
            self.features.to(device, non_blocking=non_blocking),
            self.ious.to(device, non_blocking=non_blocking),
            self.present.to(device, non_blocking=non_blocking),
        )


class ChooserTask:
    """The chooser; see :class:`toolkit.training.TrainingTask`.

    Args:
        choices: To learn from.
        config: Shape of the network.
        seed: Of its weights, and of which choice is drawn when.
        val: To validate with; none by default.
    """

    def __init__(
        self, choices: Sequence[Choice], config: ChooserConfig, seed: int = 0, val: Sequence[Choice] = ()
    ) -> None:
        torch.manual_seed(seed)
        network = ChooserModel(config)
        features = torch.from_numpy(np.concatenate([choice.features for choice in choices]))
        network.mean.copy_(features.mean(0))
        network.deviation.copy_(features.std(0).clamp(min=1e-4))
        self.model: nn.Module = network
        self.choices, self.val, self.seed = choices, val, seed

    def sample(self, index: int) -> Choice:
        """A choice at random."""
        return self.choices[int(np.random.default_rng([self.seed, index]).integers(len(self.choices)))]

    def collate(self, samples: list[Choice]) -> ChoiceBatch:
        """Pad to one number of proposals."""
        most = max(len(sample.ious) for sample in samples)
        features = np.zeros((len(samples), most, samples[0].features.shape[1]), np.float32)
        ious = np.zeros((len(samples), most), np.float32)
        present = np.zeros((len(samples), most), bool)
        for row, sample in enumerate(samples):
            count = len(sample.ious)
            features[row, :count], ious[row, :count], present[row, :count] = (
                sample.features,
                sample.ious,
                True,
            )
        return ChoiceBatch(torch.from_numpy(features), torch.from_numpy(ious), torch.from_numpy(present))

    def losses(self, model: nn.Module, batch: ChoiceBatch) -> dict[str, Tensor]:
        """What the expected IoU lacks to 1, if a proposal were drawn by the softmax of its logit."""
        logits = model(batch.features, batch.present)
        expected = (logits.softmax(1) * batch.ious).sum(1).mean()
        return {"total": 1 - expected, "expected_iou": expected}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weight decay on matrices only."""
        return decay_groups(self.model)

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Mean IoU of what is chosen for the clicks of validation."""
        if not self.val:
            return {}
        batch = self.collate(list(self.val)).to(next(model.parameters()).device)
        chosen = model(batch.features, batch.present).argmax(1)
        return {"score": float(batch.ious.gather(1, chosen[:, None]).mean())}

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the network with ``save_pretrained``."""
        as_network(model, ChooserModel).save_pretrained(folder)
