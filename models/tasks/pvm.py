"""Training PVM on a frozen 1C-DSN."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones.weights import load_backbone_weights
from models.data.composer import FIRST_PASTED_GROUP
from models.data.group_samples import GroupBatch, GroupSample, collate_groups, make_group_sample
from models.losses import contrastive_loss
from models.pvm import VerificationConfig, VerificationModel
from models.pvm.model import ObjectInputs, pairwise_distance
from models.recipes.schema import VerificationRecipe
from models.tasks.frozen import encode, load_frozen, mask_and_box, predicted
from models.tasks.one_click import decay_groups
from models.tasks.samples import PictureStream


class VerificationTask:
    """PVM: which objects of a picture are siblings; see :class:`toolkit.training.TrainingTask`."""

    def __init__(self, recipe: VerificationRecipe) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.schedule.seed)
        self.frozen = load_frozen(recipe.one_click)
        channels = self.frozen.config.pyramid_channels
        network = VerificationModel(VerificationConfig(feature_channels=channels, **recipe.model))
        if recipe.backbone_weights is not None:
            load_backbone_weights(network.backbone, recipe.backbone_weights)
        self.model: nn.Module = network
        self.stream = PictureStream(recipe.data, recipe.schedule)

    def sample(self, index: int) -> GroupSample:
        """A picture with its groups, and points beside them where false proposals may arise."""
        canvas, rng = self.stream.picture(index)
        return make_group_sample(canvas, rng, limit=self.recipe.objects, elsewhere=self.recipe.elsewhere)

    def collate(self, samples: list[GroupSample]) -> GroupBatch:
        """Stack samples."""
        return collate_groups(samples)

    def losses(self, model: nn.Module, batch: GroupBatch) -> dict[str, Tensor]:
        """Contrastive loss and cross-entropy of pairs within a picture; both kinds weigh the same."""
        inner = unwrapped(model)
        encoded = encode(self.frozen, batch, self.recipe.schedule.channels_last)
        inputs, owners, labels = [], [], []
        for index, sample in enumerate(batch.samples):
            points = [o.click for o in sample.objects] + sample.elsewhere
            found = predicted(self.frozen, encoded[index], points) if points else []
            truths = [*sample.objects, *([None] * len(sample.elsewhere))]
            masks, boxes = [], []
            for slot, (item, truth) in enumerate(zip(found, truths, strict=True)):
                pair = mask_and_box(item, truth, encoded[index])
                if pair is None:
                    continue
                masks.append(pair[0])
                boxes.append(pair[1])
                owners.append(index)
                labels.append(-1 - slot if truth is None else truth.group)
            if masks:
                image, feature = batch.image[index].float(), encoded[index].pyramid[0]
                inputs.append(inner.gather(image, feature, torch.stack(masks), torch.stack(boxes)))
        if not inputs:
            return {"total": sum((p.sum() * 0 for p in model.parameters()), torch.zeros(()))}
        embedded = model(ObjectInputs.join(inputs)).float()
        with torch.autocast(embedded.device.type, enabled=False):
            return self._pair_losses(inner, embedded, torch.tensor(owners), torch.tensor(labels))

    def _pair_losses(
        self, model: VerificationModel, embedded: Tensor, owners: Tensor, labels: Tensor
    ) -> dict[str, Tensor]:
        same_picture = torch.triu(owners[:, None] == owners[None], diagonal=1)
        # what lies elsewhere in a photo may be an unlabelled sibling of a photo's object: only pasted groups
        # are
        # known to be complete, and two finds elsewhere say nothing of each other
        elsewhere, pasted = labels < 0, labels >= FIRST_PASTED_GROUP
        unknown = elsewhere[:, None] & ~pasted[None] | elsewhere[None] & ~pasted[:, None]
        first, second = (same_picture & ~unknown).nonzero(as_tuple=True)
        if len(first) == 0:
            return {"total": embedded.sum() * 0}
        distance = pairwise_distance(embedded, embedded)[first, second]
        same = (labels[first] == labels[second]).float().to(embedded.device)
        logits = model.similarity_logits(distance)
        parts = []
        for kind in (same == 1, same == 0):
            if kind.any():
                contrastive = contrastive_loss(distance[kind], same[kind], self.recipe.margin)
                entropy = F.binary_cross_entropy_with_logits(logits[kind], same[kind])
                parts.append(torch.stack([contrastive, entropy]))
        contrastive, entropy = torch.stack(parts).mean(0)
        right = ((logits > 0) == (same == 1)).float()
        accuracy = torch.stack([right[kind].mean() for kind in (same == 1, same == 0) if kind.any()]).mean()
        return {
            "total": contrastive + entropy,
            "contrastive": contrastive,
            "entropy": entropy,
            "accuracy": accuracy.detach(),
        }

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weight decay on matrices only."""
        return decay_groups(self.model)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Nothing yet."""
        return {}

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the network with ``save_pretrained``."""
        unwrapped(model).save_pretrained(folder)


def unwrapped(model: nn.Module) -> VerificationModel:
    """The network itself, out of what distributes it over several processes."""
    inner = getattr(model, "module", model)
    if not isinstance(inner, VerificationModel):
        raise TypeError(f"expected a VerificationModel, got {type(inner).__name__}")
    return inner
