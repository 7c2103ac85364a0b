"""Training the judge on collected lessons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.judge import JudgeConfig, JudgeModel
from models.judge.lessons import JudgeLesson
from models.tasks.networks import as_network
from models.tasks.one_click import decay_groups

NOISE = 0.5  # added to each number, in its standard deviations over the lessons


@dataclass(frozen=True)
class JudgeBatch:
    """B selections, padded to the N candidates of the one that has most.

    Attributes:
        features: float ``[B, N, F]``.
        alike: float ``[B, N, N]``.
        present: bool ``[B, N]``.
        right: float ``[B, N]``, 0–1.
    """

    features: Tensor
    alike: Tensor
    present: Tensor
    right: Tensor

    def to(self, device: torch.device, non_blocking: bool = False) -> JudgeBatch:
        """The same on another device."""
        moved = (getattr(self, f.name).to(device, non_blocking=non_blocking) for f in fields(self))
        return JudgeBatch(*moved)


class JudgeTask:
    """The judge; see :class:`toolkit.training.TrainingTask`.

    Args:
        lessons: To learn from.
        config: Shape of the network.
        seed: Of its weights, and of which lesson is drawn when.
        val: To validate with; none by default.
    """

    def __init__(
        self,
        lessons: Sequence[JudgeLesson],
        config: JudgeConfig,
        seed: int = 0,
        val: Sequence[JudgeLesson] = (),
    ) -> None:
        torch.manual_seed(seed)
        network = JudgeModel(config)
        features = torch.from_numpy(np.concatenate([lesson.features for lesson in lessons]))
        network.encoder.normalise_by(features)
        self.deviation = network.encoder.deviation.numpy().copy()
        self.model: nn.Module = network
        self.lessons, self.val, self.seed = lessons, val, seed

    def sample(self, index: int) -> JudgeLesson:
        """A lesson at random, its numbers shaken: on photos that were learned on they are too good."""
        rng = np.random.default_rng([self.seed, index])
        lesson = self.lessons[int(rng.integers(len(self.lessons)))]
        noise = rng.normal(size=lesson.features.shape).astype(np.float32) * NOISE * self.deviation
        return replace(lesson, features=lesson.features + noise)

    def collate(self, samples: list[JudgeLesson]) -> JudgeBatch:
        """Pad to one number of candidates."""
        batch, most = len(samples), max(len(sample.right) for sample in samples)
        features = np.zeros((batch, most, samples[0].features.shape[1]), np.float32)
        alike = np.zeros((batch, most, most), np.float32)
        present = np.zeros((batch, most), bool)
        right = np.zeros((batch, most), np.float32)
        for row, sample in enumerate(samples):
            count = len(sample.right)
            features[row, :count] = sample.features
            alike[row, :count, :count] = sample.alike
            present[row, :count] = True
            right[row, :count] = sample.right
        return JudgeBatch(*(torch.from_numpy(array) for array in (features, alike, present, right)))

    def losses(self, model: nn.Module, batch: JudgeBatch) -> dict[str, Tensor]:
        """Cross-entropy of the expected IoU, the weighted mean over all candidates of the batch.

        One of N of a selection weighs 1 / √N, so that neither large nor small selections decide alone.
        """
        logits = model(batch.features, batch.alike, batch.present)
        entropy = F.binary_cross_entropy_with_logits(logits, batch.right, reduction="none")
        weights = batch.present / batch.present.sum(1, keepdim=True).sqrt()  # [B, N]
        return {"total": (entropy * weights).sum() / weights.sum()}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weight decay on matrices only."""
        return decay_groups(self.model)

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Average precision of the siblings of validation: the mean precision at each right one, by score.

        A sibling counts by its IoU, and the clicked objects not at all.
        """
        if not self.val:
            return {}
        batch = self.collate(list(self.val)).to(next(model.parameters()).device)
        counted = batch.present.clone()
        counted[:, 0] = False
        scores = model(batch.features, batch.alike, batch.present)[counted]
        right = batch.right[counted][scores.argsort(descending=True)]
        precision = right.cumsum(0) / torch.arange(1, len(right) + 1, device=right.device)
        return {"score": float((precision * right).sum() / right.sum().clamp(min=1e-6))}

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the network with ``save_pretrained``."""
        as_network(model, JudgeModel).save_pretrained(folder)
