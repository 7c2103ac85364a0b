"""Training PVM on a frozen 1C-DSN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones.weights import load_backbone_weights
from models.cpn import ProposalModel
from models.data.group_samples import (
    GroupBatch,
    GroupObject,
    GroupSample,
    collate_groups,
    make_group_sample,
    may_be_alike,
)
from models.losses import contrastive_loss
from models.one_click.finder import EncodedImage
from models.pvm import VerificationConfig, VerificationModel
from models.pvm.model import ObjectInputs, pairwise_distance
from models.recipes.schema import VerificationRecipe
from models.stages import input_channels
from models.tasks.false_proposals import false_clicks, shows_sibling
from models.tasks.frozen import (
    encode,
    load_frozen,
    load_frozen_proposals,
    mask_and_box,
    masks_and_boxes,
    predicted,
)
from models.tasks.networks import as_network
from models.tasks.one_click import decay_groups
from models.tasks.pair_validation import PairValidation
from models.tasks.samples import PictureStream
from models.tasks.validation import photos_with_objects

Find = tuple[Tensor, Tensor]  # coverage [H / 4, W / 4] and box [4]


@dataclass(frozen=True)
class Pairs:
    """Pairs of a batch's objects.

    Attributes:
        first: int64 ``[P]``.
        second: int64 ``[P]``.
        same: bool ``[P]``, whether they are siblings.
    """

    first: Tensor
    second: Tensor
    same: Tensor


class VerificationTask:
    """PVM: which objects of a picture are siblings; see :class:`toolkit.training.TrainingTask`."""

    def __init__(self, recipe: VerificationRecipe) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.schedule.seed)
        self.frozen = load_frozen(recipe.one_click)
        self.proposals: ProposalModel | None = None
        if recipe.false_proposals:
            self.proposals = load_frozen_proposals(recipe.cpn, recipe.one_click, self.frozen)
        inputs = input_channels(self.frozen, recipe.stages)
        network = VerificationModel(VerificationConfig(**inputs, **recipe.model))
        if recipe.backbone_weights is not None:
            load_backbone_weights(network.backbone, recipe.backbone_weights)
        self.model: nn.Module = network
        self.stream = PictureStream(recipe.data, recipe.schedule)
        self._validation: PairValidation | None = None
        if recipe.data.val is not None:  # better now than after hours of training
            photos_with_objects(recipe.data.val)

    def sample(self, index: int) -> GroupSample:
        """A picture with its groups, and points beside them where false proposals may arise."""
        canvas, rng = self.stream.picture(index)
        limit, elsewhere = self.recipe.objects, self.recipe.elsewhere
        sample = make_group_sample(canvas, rng, limit=limit, elsewhere=elsewhere)
        return replace(sample, predicted=rng.random() >= self.recipe.true_masks)

    def collate(self, samples: list[GroupSample]) -> GroupBatch:
        """Stack samples."""
        return collate_groups(samples)

    def losses(self, model: nn.Module, batch: GroupBatch) -> dict[str, Tensor]:
        """Contrastive loss and cross-entropy of pairs within a picture; both kinds weigh the same."""
        inner = as_network(model, VerificationModel)
        encoded = encode(self.frozen, batch.image, self.recipe.schedule.channels_last)
        inputs: list[ObjectInputs] = []
        pairs: list[tuple[int, int, bool]] = []
        count = 0
        for index, sample in enumerate(batch.samples):
            finds, truths = self._finds(sample, encoded[index])
            if not finds:
                continue
            image, seen = batch.image[index].float(), encoded[index]
            masks, boxes = (torch.stack(part) for part in zip(*finds, strict=True))
            inputs.append(inner.gather(image, seen.pyramid[0], masks, boxes, seen.stages))
            target = None if sample.target is None else sample.objects[sample.target]
            pairs += [(count + a, count + b, same) for a, b, same in known_pairs(truths, target)]
            count += len(finds)
        if not inputs:
            return {"total": sum((p.sum() * 0 for p in model.parameters()), torch.zeros(()))}
        embedded = model(ObjectInputs.join(inputs)).float()
        columns = torch.tensor(pairs, dtype=torch.int64, device=embedded.device).view(-1, 3).T
        with torch.autocast(embedded.device.type, enabled=False):
            return self._pair_losses(inner, embedded, Pairs(columns[0], columns[1], columns[2].bool()))

    def _finds(
        self, sample: GroupSample, encoded: EncodedImage
    ) -> tuple[list[Find], list[GroupObject | None]]:
        """What the frozen network makes of a picture's objects, and (truth None) of places beside them."""
        finds: list[Find] = []
        truths: list[GroupObject | None] = []
        exemplar: Find | None = None
        pairs = masks_and_boxes(self.frozen, encoded, sample.objects, sample.predicted)
        for slot, (pair, truth) in enumerate(zip(pairs, sample.objects, strict=True)):
            if pair is not None:
                finds.append(pair)
                truths.append(truth)
                exemplar = pair if slot == sample.target else exemplar
        if not sample.predicted:
            return finds, truths
        if exemplar is None or sample.siblings is None or not _target_is_complete(sample):
            return finds, truths
        points = list(sample.elsewhere)
        if self.proposals is not None:
            limit = self.recipe.false_proposals
            points += false_clicks(self.proposals, encoded, exemplar, sample.siblings, limit)
        for item in predicted(self.frozen, encoded, points):
            pair = mask_and_box(item, None, encoded)
            if item is not None and pair is not None and not shows_sibling(item, sample.siblings):
                finds.append(pair)
                truths.append(None)
        return finds, truths

    def _pair_losses(self, model: VerificationModel, embedded: Tensor, pairs: Pairs) -> dict[str, Tensor]:
        if len(pairs.first) == 0:
            return {"total": embedded.sum() * 0}
        distance = pairwise_distance(embedded, embedded)[pairs.first, pairs.second]
        same = pairs.same.float()
        logits = model.similarity_logits(distance)
        kinds = [kind for kind in (pairs.same, ~pairs.same) if kind.any()]
        parts = []
        for kind in kinds:
            contrastive = contrastive_loss(distance[kind], same[kind], self.recipe.margin)
            entropy = F.binary_cross_entropy_with_logits(logits[kind], same[kind])
            parts.append(torch.stack([contrastive, entropy]))
        contrastive, entropy = torch.stack(parts).mean(0)
        right = ((logits > 0) == pairs.same).float()
        accuracy = torch.stack([right[kind].mean() for kind in kinds]).mean()
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
        """How well pairs of a part of the validation split are told apart; see :class:`PairValidation`."""
        if self.recipe.data.val is None:
            return {}
        if self._validation is None:
            self._validation = PairValidation(self.frozen, self.recipe.data.val, self.recipe.data.val_images)
        return self._validation.score(as_network(model, VerificationModel))

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the network with ``save_pretrained``."""
        as_network(model, VerificationModel).save_pretrained(folder)


def _target_is_complete(sample: GroupSample) -> bool:
    return sample.target is not None and sample.objects[sample.target].complete


def known_pairs(
    truths: Sequence[GroupObject | None], target: GroupObject | None
) -> list[tuple[int, int, bool]]:
    """Pairs of one picture's finds of which is known whether they are siblings.

    Args:
        truths: The object that each find shows; None for a find beside all siblings of the target.
        target: The clicked object.

    Returns:
        (index, higher index, siblings or not). Finds beside objects are compared with the target's group
        only, and only where that is complete: they may be unlabelled siblings of anything else.
    """
    refused = None if target is None or not target.complete else target.group
    pairs = []
    for i, a in enumerate(truths):
        for j, b in enumerate(truths[i + 1 :], i + 1):
            if a is not None and b is not None:
                if a.group == b.group or not may_be_alike(a, b):
                    pairs.append((i, j, a.group == b.group))
            elif refused is not None and refused in (a and a.group, b and b.group):
                pairs.append((i, j, False))
    return pairs
