"""Training a click-by-click network: simulated clicks, iterated without gradients, then one step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.recipes.schema import InteractiveRecipe
from models.systems.clicking.losses import mean_bce, normalised_focal_loss
from models.systems.clicking.network import ClickNetwork, logits_of
from models.systems.clicking.points import PointSampling, next_training_point
from models.systems.clicking.samples import ClickBatch, ClickSample, collate, make_sample
from models.systems.clicking.validation import click_scores
from models.systems.table import definition
from models.tasks.networks import as_network
from models.tasks.one_click import decay_groups
from models.tasks.samples import PictureStream
from models.tasks.validation import photos_with_objects


class InteractiveTask:
    """See :class:`toolkit.training.TrainingTask`.

    Source of the iterative training: RITM (Sofiiuk et al., 2022), sections 3.2 and 3.3.
    """

    def __init__(self, recipe: InteractiveRecipe) -> None:
        self.recipe = recipe
        self.definition = definition(recipe.system)
        torch.manual_seed(recipe.schedule.seed)
        network = self.definition.network(self.definition.config(**recipe.model))
        if recipe.backbone_weights is not None:
            network.load_backbone(recipe.backbone_weights)
        self.model: nn.Module = network
        self.sampling = PointSampling(**recipe.clicks.sampling())
        self.stream = PictureStream(recipe.data, recipe.schedule)
        if recipe.data.val is not None:  # better now than after hours of training
            photos_with_objects(recipe.data.val)

    def sample(self, index: int) -> ClickSample:
        """A picture with one object and its first points."""
        canvas, rng = self.stream.picture(index)
        return make_sample(canvas, rng, self.sampling)

    def collate(self, samples: list[ClickSample]) -> ClickBatch:
        """Stack samples."""
        return collate(samples)

    def losses(self, model: nn.Module, batch: ClickBatch) -> dict[str, Tensor]:
        """Roll out clicks without gradients, then the losses of one more pass."""
        points, previous = self.roll_out(model, batch)
        return self.forward_losses(model, batch, points, previous)

    def forward_losses(
        self, model: nn.Module, batch: ClickBatch, points: Tensor, previous: Tensor
    ) -> dict[str, Tensor]:
        """The losses of one pass.

        Args:
            model: The network, perhaps wrapped.
            batch: Pictures and targets.
            points: ``[B, P, 3]`` with those of the roll-outs.
            previous: ``[B, 1, H, W]`` probabilities of the last roll-out; zeros without.
        """
        settings = self.recipe.loss
        output = self.predict(model, batch, points, previous)
        focal = normalised_focal_loss(logits_of(output), batch.target, settings.alpha, settings.gamma)
        auxiliary = getattr(output, "auxiliary", None)
        if auxiliary is None:
            return {"total": focal}
        bce = mean_bce(auxiliary, batch.target)
        return {"total": focal + settings.auxiliary * bce, "focal": focal, "auxiliary": bce}

    def predict(self, model: nn.Module, batch: ClickBatch, points: Tensor, previous: Tensor) -> Any:
        """One pass of the network; what else a system's batches hold goes in here."""
        return model(self.pixels(batch), points, previous)

    def pixels(self, batch: ClickBatch) -> Tensor:
        """The batch's pixels in the memory format of the schedule."""
        if self.recipe.schedule.channels_last:
            return batch.image.contiguous(memory_format=torch.channels_last)
        return batch.image

    def roll_out(self, model: nn.Module, batch: ClickBatch) -> tuple[Tensor, Tensor]:
        """Click 0 to ``rollouts`` times where the network is wrong, without gradients.

        Returns:
            Points ``[B, P + rollouts, 3]`` and the probabilities before the last of them, ``[B, 1, H, W]``.
        """
        previous = torch.zeros_like(batch.target)
        rounds = int(torch.randint(self.recipe.clicks.rollouts + 1, ()))
        if rounds == 0:
            return batch.points, previous
        points, training = batch.points, model.training
        model.eval()
        try:
            with torch.no_grad():
                for _ in range(rounds):
                    output = self.predict(model, batch, points, previous)
                    previous = logits_of(output).float().sigmoid()
                    points = torch.cat([points, next_points(batch.target, previous)], dim=1)
        finally:
            model.train(training)
        dropped = torch.rand(len(previous), device=previous.device) < self.recipe.clicks.drop_previous
        return points, previous.masked_fill(dropped.view(-1, 1, 1, 1), 0.0)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weight decay on the convolutions only; a pretrained backbone may learn slower."""
        return scaled_groups(self.model, self.recipe.backbone_lr_scale)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Mean IoU after the first clicks on a part of the validation split."""
        if self.recipe.data.val is None:
            return {}
        network = as_network(model, ClickNetwork)
        training = network.training
        network.eval()
        try:
            stepper = self.definition.stepper(network)
            return click_scores(stepper, self.recipe.data.val, self.recipe.data.val_images)
        finally:
            network.train(training)

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the network with ``save_pretrained``."""
        as_network(model, ClickNetwork).save_pretrained(folder)


def next_points(target: Tensor, previous: Tensor, threshold: float = 0.5) -> Tensor:
    """The next training click of each picture: ``[B, 1, 3]``; kind -1 where nothing is wrong.

    Args:
        target: ``[B, 1, H, W]``, 0 or 1.
        previous: ``[B, 1, H, W]`` probabilities.
        threshold: Probability above which a pixel is selected.
    """
    rng = np.random.default_rng(int(torch.randint(2**31, ())))  # torch's state is what checkpoints keep
    truths = target[:, 0].bool().cpu().numpy()
    predictions = (previous[:, 0] > threshold).cpu().numpy()
    found = [
        next_training_point(t, p, rng) or (-1.0, -1.0, -1.0) for t, p in zip(truths, predictions, strict=True)
    ]
    return torch.tensor(found, dtype=torch.float32, device=target.device)[:, None]


def scaled_groups(model: nn.Module, backbone_scale: float) -> list[dict[str, Any]]:
    """Groups as :func:`models.tasks.one_click.decay_groups`, the backbone's with a rate of its own."""
    backbone = getattr(model, "backbone", None)
    if backbone_scale == 1 or not isinstance(backbone, nn.Module):
        return decay_groups(model)
    own = {id(parameter) for parameter in backbone.parameters()}
    groups = []
    for group in decay_groups(model):
        inside = [p for p in group["params"] if id(p) in own]
        outside = [p for p in group["params"] if id(p) not in own]
        groups += [{**group, "params": inside, "lr_scale": backbone_scale}, {**group, "params": outside}]
    return [group for group in groups if group["params"]]
