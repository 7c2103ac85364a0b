"""Training FocalClick: the segmentor on small pictures, the refiner on focus crops of the same pictures."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.recipes.schema import InteractiveRecipe
from models.systems.clicking.losses import mean_bce, normalised_focal_loss
from models.systems.clicking.network import ClickNetwork
from models.systems.clicking.samples import ClickBatch
from models.systems.clicking.task import InteractiveTask
from models.systems.focalclick.network import FocalNetwork
from models.systems.focalclick.settings import FocalTraining
from models.systems.focalclick.zooming import cut, points_in, target_crops, zoomed
from models.tasks.networks import as_network

# A focus crop of the whole object grows by a factor drawn from this interval, so that the refiner meets crops
# as loose as those of use (FocalClick, section 3.4).
LOOSE = (1.1, 2.0)
BORDER_STEP = 8  # the border is what changes when the mask is reduced this much and grown again


class FocalTask(InteractiveTask):
    """See :class:`models.systems.clicking.task.InteractiveTask`; pictures are reduced for the segmentor."""

    def __init__(self, recipe: InteractiveRecipe) -> None:
        super().__init__(recipe)
        self.settings = FocalTraining(**recipe.training)

    def losses(self, model: nn.Module, batch: ClickBatch) -> dict[str, Tensor]:
        """The segmentor's and the refiner's losses after roll-outs of the segmentor."""
        small = reduced(batch, as_network(model, ClickNetwork).config.input_size)
        points, previous = self.roll_out(model, small)
        if previous.any() and torch.rand(()) < self.settings.zoom_probability:
            batch, small, points, previous = self._zoom(batch, small, points, previous)
        losses, coarse = self._coarse_losses(model, small, points, previous)
        refined = self._refiner_losses(model, batch, points, coarse)
        losses |= refined
        losses["total"] = (
            losses["total"] + refined["refined"] + self.settings.border_weight * refined["border"]
        )
        return losses

    def _zoom(
        self, batch: ClickBatch, small: ClickBatch, points: Tensor, previous: Tensor
    ) -> tuple[ClickBatch, ClickBatch, Tensor, Tensor]:
        """Look at target crops, with the mask before as in use: what it selects, not how surely."""
        side, reach = small.image.shape[-1], batch.image.shape[-1]
        selected = previous > as_network(self.model, ClickNetwork).config.mask_threshold
        boxes = target_crops(selected, points)  # pixels of the small pictures
        batch = zoomed(batch, boxes * (reach / side))
        return batch, reduced(batch, side), points_in(points, boxes, side), cut(selected.float(), boxes, side)

    def _coarse_losses(
        self, model: nn.Module, small: ClickBatch, points: Tensor, previous: Tensor
    ) -> tuple[dict[str, Tensor], Any]:
        settings = self.recipe.loss
        output = model(self.pixels(small), points, previous)
        focal = normalised_focal_loss(output.logits, small.target, settings.alpha, settings.gamma)
        losses = {"total": focal, "coarse": focal}
        if output.auxiliary is not None:
            losses["auxiliary"] = mean_bce(output.auxiliary, small.target)
            losses["total"] = focal + settings.auxiliary * losses["auxiliary"]
        return losses, output

    def _refiner_losses(
        self, model: nn.Module, batch: ClickBatch, points: Tensor, coarse: Any
    ) -> dict[str, Tensor]:
        network = as_network(model, ClickNetwork)
        if not isinstance(network, FocalNetwork):
            raise TypeError(f"expected a FocalNetwork, got {type(network).__name__}")
        side, small, focus = batch.image.shape[-1], network.config.input_size, network.config.focus_size
        boxes = training_boxes(batch.target, self.settings.focus_on_border)  # pixels of the picture
        pixels = cut(batch.image.float(), boxes, focus)
        target = (cut(batch.target, boxes, focus) > 0.5).float()
        inner = boxes * (small / side)  # pixels of the segmentor's input
        output = network.refine(pixels, points_in(points, inner, focus), coarse, inner)
        border = border_of(target)
        settings = self.recipe.loss
        emphasis = 1 + self.settings.border_emphasis * border
        return {
            "refined": normalised_focal_loss(
                output.logits, target, settings.alpha, settings.gamma, emphasis=emphasis
            ),
            "border": mean_bce(output.border, border),
        }


def focal_task(recipe: InteractiveRecipe) -> FocalTask:
    """FocalClick's task."""
    return FocalTask(recipe)


def reduced(batch: ClickBatch, side: int) -> ClickBatch:
    """The same pictures at ``side`` pixels, as the segmentor sees a target crop."""
    scale = side / batch.image.shape[-1]
    if scale == 1:
        return batch
    image = F.interpolate(batch.image.float(), (side, side), mode="bilinear", antialias=True)
    target = (F.interpolate(batch.target, (side, side), mode="area") > 0.5).float()
    points = batch.points.clone()
    points[..., :2] = points[..., :2] * scale
    return ClickBatch(
        image.round().clamp(0, 255).to(torch.uint8), target, points, batch.others, batch.siblings
    )


def training_boxes(target: Tensor, on_border: float) -> Tensor:
    """A focus crop for each picture: around the whole object, or around a point of its border.

    Args:
        target: ``[B, 1, S, S]``, 0 or 1.
        on_border: Probability of the latter.

    Returns:
        ``[B, 4]`` (x1, y1, x2, y2); the whole picture where there is no object.
    """
    rng = np.random.default_rng(int(torch.randint(2**31, ())))  # torch's state is what checkpoints keep
    boxes = [_training_box(mask, rng, on_border) for mask in target[:, 0].bool().cpu().numpy()]
    return torch.tensor(boxes, dtype=torch.float32, device=target.device)


def _training_box(
    mask: np.ndarray, rng: np.random.Generator, on_border: float
) -> tuple[float, float, float, float]:
    height, width = mask.shape
    if not mask.any():
        return 0.0, 0.0, float(width), float(height)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = (columns[0] + columns[-1] + 1) / 2, (rows[0] + rows[-1] + 1) / 2
    wide, high = columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]
    half_x, half_y = rng.uniform(*LOOSE) * np.array([wide, high]) / 2
    if rng.random() < on_border:
        inner = cv2.erode(np.pad(mask.astype(np.uint8), 1), np.ones((3, 3), np.uint8))[1:-1, 1:-1]
        edge = np.argwhere(mask & ~inner.astype(bool))
        y, x = edge[rng.integers(len(edge))] + 0.5
        half_x = half_y = rng.uniform(0.15, 0.4) * max(wide, high)
    half_x, half_y = max(half_x, 4.0), max(half_y, 4.0)
    x1, x2 = max(x - half_x, 0.0), min(x + half_x, float(width))
    y1, y2 = max(y - half_y, 0.0), min(y + half_y, float(height))
    return float(x1), float(y1), float(x2), float(y2)


def border_of(target: Tensor) -> Tensor:
    """The border of masks: what changes when they are reduced eightfold and grown again.

    Args:
        target: ``[B, 1, h, w]``, 0 or 1; sides divisible by 8.

    Source: FocalClick, section 3.4 (supervision of the boundary map).
    """
    small = F.avg_pool2d(target, BORDER_STEP)
    again = F.interpolate(small, target.shape[-2:], mode="bilinear", align_corners=False)
    return ((again > 0.5).float() != target).float()
