"""Training 1C-DSN."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.backbones.weights import load_backbone_weights
from models.data.one_click_samples import OneClickBatch, OneClickSample, collate, make_samples
from models.one_click import OneClickConfig, OneClickModel
from models.one_click.criterion import CriterionConfig, OneClickCriterion
from models.recipes.schema import OneClickRecipe
from models.tasks.networks import as_network
from models.tasks.samples import PictureStream
from models.tasks.validation import one_click_score, photos_with_objects


class OneClickTask:
    """1C-DSN with clicked crops; see :class:`toolkit.training.TrainingTask`."""

    def __init__(self, recipe: OneClickRecipe) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.schedule.seed)
        network = OneClickModel(OneClickConfig(**recipe.model))
        if recipe.backbone_weights is not None:
            load_backbone_weights(network.backbone, recipe.backbone_weights)
        self.model: nn.Module = network
        self.click_embedding = network.config.click_embedding
        self.criterion = OneClickCriterion(CriterionConfig(**recipe.criterion.model_dump()))
        self.stream = PictureStream(recipe.data, recipe.schedule)
        if recipe.data.val is not None:  # better now than after hours of training
            photos_with_objects(recipe.data.val)

    def sample(self, index: int) -> list[OneClickSample]:
        """A picture with its sets of clicked objects; with all objects for the click-free baseline."""
        canvas, rng = self.stream.picture(index)
        data = self.recipe.data
        return make_samples(
            canvas,
            rng,
            data.clicked_objects,
            data.mask_stride,
            data.single_click_probability,
            click=self.click_embedding,
            click_sets=data.click_sets,
        )

    def collate(self, samples: list[list[OneClickSample]]) -> OneClickBatch:
        """Stack samples."""
        return collate(samples)

    def losses(self, model: nn.Module, batch: OneClickBatch) -> dict[str, Tensor]:
        """The criterion's scalars."""
        image = batch.image
        if self.recipe.schedule.channels_last:
            image = image.contiguous(memory_format=torch.channels_last)
        output = model(image, batch.click_maps)
        return self.criterion(as_network(model, OneClickModel), output, batch.targets)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weight decay on the convolutions only."""
        return decay_groups(self.model)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """One-click mIoU on a part of the validation split."""
        if self.recipe.data.val is None:
            return {}
        return one_click_score(model, self.recipe.data.val, self.recipe.data.val_images)

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the network with ``save_pretrained``."""
        as_network(model, OneClickModel).save_pretrained(folder)


def decay_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Two optimiser groups: weights of two or more dimensions decay, biases and normalisations do not."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2]},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
