"""Training EMC-Click: the light correction makes long iterative training cheap.

Source: EMC-Click (Du et al., CVPR 2023), section 4.1, "Implementation details".
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from models.recipes.schema import InteractiveRecipe
from models.systems.clicking.losses import mean_bce, normalised_focal_loss
from models.systems.clicking.network import ClickNetwork
from models.systems.clicking.points import geometric_count
from models.systems.clicking.samples import ClickBatch
from models.systems.clicking.task import InteractiveTask, next_points
from models.systems.emc_click.network import EmcClickNetwork
from models.systems.emc_click.training_settings import EmcClickTraining
from models.tasks.networks import as_network


class EmcClickTask(InteractiveTask):
    """Iterative training from the first click on; the normalised focal loss on both networks' masks."""

    def __init__(self, recipe: InteractiveRecipe) -> None:
        super().__init__(recipe)
        self.training = EmcClickTraining.model_validate(recipe.training)

    def roll_out(self, model: nn.Module, batch: ClickBatch) -> tuple[Tensor, Tensor]:
        """Start from the first positive point alone, then click where the corrected mask is wrong.

        The base network runs once here, without gradients; not at all where the step is the first click.
        """
        points, previous = batch.points[:, :1], torch.zeros_like(batch.target)
        rng = np.random.default_rng(int(torch.randint(2**31, ())))  # torch's state is what checkpoints keep
        rounds = geometric_count(rng, self.recipe.clicks.rollouts, self.training.rollout_decay)
        if rounds == 0:
            return points, previous
        network = as_network(model, ClickNetwork)
        if not isinstance(network, EmcClickNetwork):
            raise TypeError(f"expected an EmcClickNetwork, got {type(network).__name__}")
        training, pixels = network.training, self.pixels(batch)
        network.eval()
        try:
            with torch.no_grad():
                features, coarse = network.start(pixels, points)
                previous = coarse.float().sigmoid()
                for _ in range(rounds):
                    previous = network.correct(pixels, points, previous, features).float().sigmoid()
                    points = torch.cat([points, next_points(batch.target, previous)], dim=1)
        finally:
            network.train(training)
        return points, previous

    def forward_losses(
        self, model: nn.Module, batch: ClickBatch, points: Tensor, previous: Tensor
    ) -> dict[str, Tensor]:
        """The loss of the corrected mask (``refined``), of the base network's (``base``), and OCR's."""
        alpha, gamma = self.recipe.loss.alpha, self.recipe.loss.gamma
        output = model(self.pixels(batch), points, previous)
        refined = normalised_focal_loss(output.logits, batch.target, alpha, gamma)
        base = normalised_focal_loss(output.coarse, batch.target, alpha, gamma)
        losses = {"total": refined + self.training.base_weight * base, "refined": refined, "base": base}
        if output.auxiliary is not None:
            losses["auxiliary"] = mean_bce(output.auxiliary, batch.target)
            losses["total"] = losses["total"] + self.recipe.loss.auxiliary * losses["auxiliary"]
        return losses
