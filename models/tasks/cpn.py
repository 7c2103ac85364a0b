"""Training CPN on a frozen 1C-DSN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.cpn import ProposalConfig, ProposalModel
from models.cpn.heatmap import heatmap_target
from models.data.group_samples import (
    GroupBatch,
    GroupObject,
    GroupSample,
    collate_groups,
    draw_further,
    make_group_sample,
)
from models.losses import center_focal_loss
from models.one_click.finder import EncodedImage
from models.recipes.schema import ProposalRecipe
from models.stages import input_channels
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
        inputs = input_channels(self.frozen, recipe.stages)
        self.model: nn.Module = ProposalModel(ProposalConfig(**inputs, **recipe.model))
        self.stream = PictureStream(recipe.data, recipe.schedule)
        self._validation: ProposalValidation | None = None
        if recipe.data.val is not None:  # better now than after hours of training
            photos_with_objects(recipe.data.val)

    def sample(self, index: int) -> GroupSample:
        """A picture with its groups."""
        canvas, rng = self.stream.picture(index)
        sample = make_group_sample(canvas, rng, limit=40, elsewhere=0)
        predicted = rng.random() >= self.recipe.true_masks
        return replace(
            sample, predicted=predicted, further=draw_further(sample, rng, self.recipe.targets - 1)
        )

    def collate(self, samples: list[GroupSample]) -> GroupBatch:
        """Stack samples."""
        return collate_groups(samples)

    def losses(self, model: nn.Module, batch: GroupBatch) -> dict[str, Tensor]:
        """CenterNet's focal loss of the heatmaps."""
        encoded = encode(self.frozen, batch.image, self.recipe.schedule.channels_last)
        masks, boxes, targets, owners = [], [], [], []
        for index, sample in enumerate(batch.samples):
            height, width = encoded[index].mask_features.shape[-2:]
            for target, exemplars in self._exemplars(sample, encoded[index]):
                masks.append(torch.stack([mask for mask, _ in exemplars]))
                boxes.append(torch.stack([box for _, box in exemplars]))
                owners.append(index)
                centers = [(*o.center, o.diameter) for o in sample.objects if o.group == target.group]
                targets.append(heatmap_target(centers, height, width))
        if not owners:
            return {"total": sum((p.sum() * 0 for p in model.parameters()), torch.zeros(()))}
        kept = sorted(set(owners))
        pyramid, stages = (
            [torch.stack(level) for level in zip(*maps, strict=True)]
            for maps in ([encoded[i].pyramid for i in kept], [encoded[i].stages for i in kept])
        )
        logits = model(pyramid, masks, boxes, [kept.index(owner) for owner in owners], stages).float()
        return {"total": center_focal_loss(logits, torch.stack(targets).to(logits.device))}

    def _exemplars(
        self, sample: GroupSample, encoded: EncodedImage
    ) -> list[tuple[GroupObject, list[tuple[Tensor, Tensor]]]]:
        """Each clicked object, and mask ``[H / 4, W / 4]`` and box ``[4]`` of it and up to two siblings."""
        if sample.target is None:
            return []
        clicked = [sample.objects[index] for index in (sample.target, *sample.further)]
        sets = [_exemplars_of(target, sample.objects) for target in clicked]
        every = [item for exemplars in sets for item in exemplars]
        pairs = iter(masks_and_boxes(self.frozen, encoded, every, sample.predicted))
        known = [
            (target, [pair for pair in islice(pairs, len(exemplars)) if pair is not None])
            for target, exemplars in zip(clicked, sets, strict=True)
        ]
        return [(target, exemplars) for target, exemplars in known if exemplars]

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


def _exemplars_of(target: GroupObject, objects: Sequence[GroupObject]) -> list[GroupObject]:
    """The target and up to two siblings."""
    siblings = [o for o in objects if o.group == target.group and o is not target]
    # from the target itself, so that the number of exemplars depends on the sample's index only
    count = int(target.click[0] * 7 + target.click[1] * 13) % MOST_EXEMPLARS
    return [target, *siblings[:count]]
