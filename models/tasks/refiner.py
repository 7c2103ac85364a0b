"""Training the mask refiner on what a frozen 1C-DSN finds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.data.refiner_samples import RefinerBatch, RefinerSample, collate_refiner, make_refiner_sample
from models.folding import fold_batch_norm
from models.one_click.finder import EncodedImage, ObjectFinder
from models.placed_object import PlacedObject
from models.recipes.schema import RefinerRecipe
from models.refiner import RefinerConfig, RefinerModel
from models.refiner.criterion import refiner_losses
from models.refiner.crops import RefinerInputs, Square, cut_crops, square_around
from models.refiner.model import REFINED_STRIDE
from models.roi_align import roi_align
from models.tasks.frozen import encode, load_frozen
from models.tasks.networks import as_network
from models.tasks.one_click import decay_groups
from models.tasks.samples import PictureStream
from models.tasks.validation import one_click_score, photos_with_objects

BEST = 0.7  # how often the candidate of the highest vote is taken, as one view alone would choose; else any
SIZE_RANGE = 1.3  # a crop is up to so many times as large as it should be, or as small
PLACE_RANGE = 0.1  # and its middle is off by up to this part of its side


class RefinerTask:
    """The mask refiner; see :class:`toolkit.training.TrainingTask`."""

    def __init__(self, recipe: RefinerRecipe) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.schedule.seed)
        self.frozen = load_frozen(recipe.one_click)
        network = RefinerModel(RefinerConfig(**recipe.model))
        if recipe.backbone_from_one_click:
            network.backbone.load_state_dict(self.frozen.backbone.state_dict())
        fold_batch_norm(self.frozen)
        self.model: nn.Module = network
        self.stream = PictureStream(recipe.data, recipe.schedule)
        if recipe.data.val is not None:  # better now than after hours of training
            photos_with_objects(recipe.data.val)

    def sample(self, index: int) -> RefinerSample:
        """A picture with clicked objects."""
        canvas, rng = self.stream.picture(index)
        data = self.recipe.data
        return make_refiner_sample(canvas, rng, data.clicked_objects, data.single_click_probability)

    def collate(self, samples: list[RefinerSample]) -> RefinerBatch:
        """Stack samples."""
        return collate_refiner(samples)

    def losses(self, model: nn.Module, batch: RefinerBatch) -> dict[str, Tensor]:
        """The criterion's scalars, of a candidate for each clicked object."""
        inner = as_network(model, RefinerModel)
        encoded = encode(self.frozen, batch.image, self.recipe.schedule.channels_last)
        inputs, truths, areas = [], [], []
        for index, sample in enumerate(batch.samples):
            items, squares, own = self._crops(sample, encoded[index], inner.config)
            if not items:
                continue
            size = inner.config.crop
            inputs.append(cut_crops(batch.image[index], 1.0, items, squares, size))
            masks = torch.from_numpy(sample.masks[own]).to(batch.image.device).float()  # [N, S, S]
            truth, area = truth_in(masks, squares, size // REFINED_STRIDE)
            truths.append(truth)
            areas.append(area)
        if not inputs:
            return {"total": sum((p.sum() * 0 for p in model.parameters()), torch.zeros(()))}
        joined = RefinerInputs.join(inputs)
        pixels = joined.pixels
        if self.recipe.schedule.channels_last:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        refined = model(pixels, joined.prior, joined.clicks)
        prior = F.avg_pool2d(joined.prior, REFINED_STRIDE)[:, 0]
        with torch.autocast(pixels.device.type, enabled=False):
            return refiner_losses(refined, prior, torch.cat(truths), torch.cat(areas))

    def _crops(
        self, sample: RefinerSample, encoded: EncodedImage, config: RefinerConfig
    ) -> tuple[list[PlacedObject], list[Square], list[int]]:
        """A candidate for each object, the square to look at, and the object's index."""
        items, squares, own = [], [], []
        found = ObjectFinder(self.frozen).candidates(encoded, sample.clicks)
        for index, (candidates, draws) in enumerate(zip(found, sample.draws, strict=True)):
            if not candidates:
                continue
            item = drawn([PlacedObject(candidate, 1.0) for candidate in candidates], float(draws[0]))
            items.append(item)
            squares.append(jittered(square_around(item, config.context), draws[1:]))
            own.append(index)
        return items, squares, own

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weight decay on matrices only."""
        return decay_groups(self.model)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """One-click mIoU of the frozen 1C-DSN's masks, refined, on a part of the validation split."""
        data = self.recipe.data
        if data.val is None:
            return {}
        return one_click_score(self.frozen, data.val, data.val_images, as_network(model, RefinerModel))

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the network with ``save_pretrained``."""
        as_network(model, RefinerModel).save_pretrained(folder)


def drawn(candidates: Sequence[PlacedObject], draw: float) -> PlacedObject:
    """A candidate; a number, 0–1, says which."""
    if draw < BEST:
        return max(candidates, key=lambda item: item.vote)
    which = int((draw - BEST) / (1 - BEST) * len(candidates))
    return candidates[min(which, len(candidates) - 1)]


def jittered(square: Square, draws: np.ndarray) -> Square:
    """A square of another size and place; three numbers, 0–1, say which."""
    left, top, side = square
    larger = side * SIZE_RANGE ** (2 * float(draws[0]) - 1)
    moved = [larger * PLACE_RANGE * (2 * float(draw) - 1) - (larger - side) / 2 for draw in draws[1:3]]
    return left + moved[0], top + moved[1], larger


def truth_in(masks: Tensor, squares: Sequence[Square], size: int) -> tuple[Tensor, Tensor]:
    """What squares show of their objects.

    Args:
        masks: float ``[N, H, W]``, 0 or 1.
        squares: Pixels.
        size: Values per side.

    Returns:
        Coverage ``[N, size, size]``, 0–1, and the area of each whole object in values, ``[N]``.
    """
    boxes = torch.tensor([(x, y, x + side, y + side) for x, y, side in squares], device=masks.device)
    parts = [roi_align(m[None], b[None], 1.0, size)[:, 0] for m, b in zip(masks, boxes, strict=True)]
    steps = (boxes[:, 2] - boxes[:, 0]) / size  # pixels per value
    return torch.cat(parts), masks.sum((1, 2)) / steps**2
