"""Training CPN on a frozen 1C-DSN."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.cpn import ProposalConfig, ProposalModel
from models.cpn.heatmap import heatmap_target
from models.data.group_samples import GroupBatch, GroupSample, collate_groups, make_group_sample
from models.losses import center_focal_loss
from models.one_click.finder import EncodedImage
from models.recipes.schema import ProposalRecipe
from models.tasks.frozen import encode, load_frozen, masks_and_boxes
from models.tasks.networks import as_network
from models.tasks.one_click import decay_groups
from models.tasks.proposal_validation import ProposalValidation
from models.tasks.samples import PictureStream
from models.tasks.validation import photos_with_objects

MOST_EXEMPLARS = 3  # IDS gives up to m = 3 masks


class ProposalTask:
    """CPN: heatmaps of the target's siblings; see :class:`toolkit.training.TrainingTask`."""

    def __init__(self, recipe: ProposalRecipe) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.schedule.seed)
        self.frozen = load_frozen(recipe.one_click)
        channels = self.frozen.config.pyramid_channels
        self.model: nn.Module = ProposalModel(ProposalConfig(feature_channels=channels, **recipe.model))
        self.stream = PictureStream(recipe.data, recipe.schedule)
        self._validation: ProposalValidation | None = None
        if recipe.data.val is not None:  # better now than after hours of training
            photos_with_objects(recipe.data.val)

    def sample(self, index: int) -> GroupSample:
        """A picture with its groups."""
        canvas, rng = self.stream.picture(index)
        sample = make_group_sample(canvas, rng, limit=40, elsewhere=0)
        return replace(sample, predicted=rng.random() >= self.recipe.true_masks)

    def collate(self, samples: list[GroupSample]) -> GroupBatch:
        """Stack samples."""
        return collate_groups(samples)

    def losses(self, model: nn.Module, batch: GroupBatch) -> dict[str, Tensor]:
        """CenterNet's focal loss of the heatmaps."""
        encoded = encode(self.frozen, batch.image, self.recipe.schedule.channels_last)
        masks, boxes, targets, kept = [], [], [], []
        for index, sample in enumerate(batch.samples):
            exemplars = self._exemplars(sample, encoded[index])
            if exemplars is None or sample.target is None:
                continue
            kept.append(index)
            masks.append(exemplars[0])
            boxes.append(exemplars[1])
            group = sample.objects[sample.target].group
            centers = [(*o.center, o.diameter) for o in sample.objects if o.group == group]
            height, width = encoded[index].mask_features.shape[-2:]
            targets.append(heatmap_target(centers, height, width))
        if not kept:
            return {"total": sum((p.sum() * 0 for p in model.parameters()), torch.zeros(()))}
        levels = range(len(encoded[0].pyramid))
        pyramid = [torch.stack([encoded[i].pyramid[level] for i in kept]) for level in levels]
        logits = model(pyramid, masks, boxes).float()
        return {"total": center_focal_loss(logits, torch.stack(targets).to(logits.device))}

    def _exemplars(self, sample: GroupSample, encoded: EncodedImage) -> tuple[Tensor, Tensor] | None:
        """Masks ``[M, H / 4, W / 4]`` and boxes ``[M, 4]`` of the target and up to two siblings."""
        if sample.target is None:
            return None
        target = sample.objects[sample.target]
        siblings = [o for i, o in enumerate(sample.objects) if o.group == target.group and i != sample.target]
        # from the sample itself, so that the number of exemplars depends on the sample's index only
        count = 1 + (int(target.click[0] * 7 + target.click[1] * 13) % MOST_EXEMPLARS)
        chosen = [target, *siblings[: count - 1]]
        pairs = masks_and_boxes(self.frozen, encoded, chosen, sample.predicted)
        usable = [pair for pair in pairs if pair is not None]
        if not usable:
            return None
        return torch.stack([m for m, _ in usable]), torch.stack([b for _, b in usable])

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weight decay on matrices only."""
        return decay_groups(self.model)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """How right the clicks on a part of the validation split are; see :class:`ProposalValidation`."""
        if self.recipe.data.val is None:
            return {}
        if self._validation is None:
            self._validation = ProposalValidation(
                self.frozen, self.recipe.data.val, self.recipe.data.val_images
            )
        return self._validation.score(as_network(model, ProposalModel))

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the network with ``save_pretrained``."""
        as_network(model, ProposalModel).save_pretrained(folder)
