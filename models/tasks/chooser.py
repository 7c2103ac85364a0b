"""Training the chooser on collected lessons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.chooser import ChooserConfig, ChooserModel
from models.chooser.criterion import blend_iou, blend_loss, blended
from models.chooser.lessons import Lesson
from models.tasks.networks import as_network
from models.tasks.one_click import decay_groups

VALIDATED_AT_ONCE = 128  # clicks
MOST_LEFT_OUT = 0.6  # of a lesson's proposals


@dataclass(frozen=True)
class LessonBatch:
    """B clicks, padded to the N proposals of the one that has most, on K cells.

    Attributes:
        features: float ``[B, N, F]``.
        overlaps: float ``[B, N, N]``.
        present: bool ``[B, N]``.
        masks: float ``[B, N, K]``, logits.
        beyond: float ``[B, N]``, cells of each mask beyond the lattice.
        truth: float ``[B, K]``, 0–1.
        area: float ``[B]``, cells.
    """

    features: Tensor
    overlaps: Tensor
    present: Tensor
    masks: Tensor
    beyond: Tensor
    truth: Tensor
    area: Tensor

    def to(self, device: torch.device, non_blocking: bool = False) -> LessonBatch:
        """The same on another device."""
        moved = (getattr(self, f.name).to(device, non_blocking=non_blocking) for f in fields(self))
        return LessonBatch(*moved)


class ChooserTask:
    """The chooser; see :class:`toolkit.training.TrainingTask`.

    Args:
        lessons: To learn from.
        config: Shape of the network.
        seed: Of its weights, and of which lesson is drawn when.
        val: To validate with; none by default.
    """

    def __init__(
        self, lessons: Sequence[Lesson], config: ChooserConfig, seed: int = 0, val: Sequence[Lesson] = ()
    ) -> None:
        torch.manual_seed(seed)
        network = ChooserModel(config)
        network.encoder.normalise_by(
            torch.from_numpy(np.concatenate([lesson.features for lesson in lessons]))
        )
        self.model: nn.Module = network
        self.lessons, self.seed = lessons, seed
        self.val = sorted(val, key=lambda lesson: len(lesson.beyond))  # batches of little padding

    def sample(self, index: int) -> Lesson:
        """A lesson at random, without some of its proposals: the rest should do."""
        rng = np.random.default_rng([self.seed, index])
        lesson = self.lessons[int(rng.integers(len(self.lessons)))]
        kept = rng.random(len(lesson.beyond)) >= rng.uniform(0, MOST_LEFT_OUT)
        return lesson.only(kept) if kept.any() else lesson

    def collate(self, samples: list[Lesson]) -> LessonBatch:
        """Pad to one number of proposals."""
        counts = [len(sample.beyond) for sample in samples]
        batch, most = len(samples), max(counts)
        features = np.zeros((batch, most, samples[0].features.shape[1]), np.float32)
        overlaps = np.zeros((batch, most, most), np.float32)
        present = np.zeros((batch, most), bool)
        masks = np.zeros((batch, most, samples[0].masks.shape[1]), np.float32)
        beyond = np.zeros((batch, most), np.float32)
        for row, (sample, count) in enumerate(zip(samples, counts, strict=True)):
            features[row, :count] = sample.features
            overlaps[row, :count, :count] = sample.overlaps
            present[row, :count] = True
            masks[row, :count] = sample.logits
            beyond[row, :count] = sample.beyond
        truth = np.stack([sample.coverage for sample in samples])
        area = np.array([sample.area for sample in samples], np.float32)
        arrays = (features, overlaps, present, masks, beyond, truth, area)
        return LessonBatch(*(torch.from_numpy(array) for array in arrays))

    def losses(self, model: nn.Module, batch: LessonBatch) -> dict[str, Tensor]:
        """What the soft IoU of the blended masks lacks to 1."""
        weighed = model(batch.features, batch.overlaps, batch.present)
        return {"total": blend_loss(weighed, batch.masks, batch.truth, batch.area, batch.beyond)}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weight decay on matrices only."""
        return decay_groups(self.model)

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Mean IoU of the blended masks for the clicks of validation."""
        if not self.val:
            return {}
        device = next(model.parameters()).device
        total = 0.0
        for start in range(0, len(self.val), VALIDATED_AT_ONCE):
            batch = self.collate(self.val[start : start + VALIDATED_AT_ONCE]).to(device)
            weighed = model(batch.features, batch.overlaps, batch.present)
            covered = (blended(weighed, batch.masks) > 0).float()
            total += float(blend_iou(covered, weighed, batch.truth, batch.area, batch.beyond).sum())
        return {"score": total / len(self.val)}

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the network with ``save_pretrained``."""
        as_network(model, ChooserModel).save_pretrained(folder)
