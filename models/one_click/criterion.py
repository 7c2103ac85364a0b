"""The training criterion of 1C-DSN."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from models.losses import centerness_of, dice_loss, giou_loss, sigmoid_focal_loss
from models.one_click.assign import assign_locations, level_locations
from models.one_click.dynamic_masks import SIZES_OF_INTEREST, dynamic_masks
from models.one_click.kernel_bank import PATHS, mixed_kernels
from models.one_click.model import OneClickModel, OneClickOutput
from models.pyramid import STRIDES


@dataclass(frozen=True)
class Targets:
    """The clicked objects of one image.

    Attributes:
        boxes: float ``[N, 4]`` pixels.
        centers: float ``[N, 2]`` centres of mass, pixels.
        masks: uint8 ``[N, H / s, W / s]``, sampled at the pixel centres of stride s.
    """

    boxes: Tensor
    centers: Tensor
    masks: Tensor

    def to(self, device: torch.device) -> Targets:
        """The same on another device."""
        return Targets(self.boxes.to(device), self.centers.to(device), self.masks.to(device))


@dataclass(frozen=True)
class CriterionConfig:
    """Weights and limits of the criterion; the losses all weigh 1 in Entity Segmentation.

    Attributes:
        class_weight: Of the focal loss.
        box_weight: Of the GIoU loss.
        centerness_weight: Of the centerness loss.
        mask_weight: Of the Dice loss.
        masks_per_image: Locations whose masks are trained, at most (120 per image in Entity Segmentation).
        masks_per_object: The same per object.
        masks_in_all: The same for a whole batch, shared evenly by its images (500 in Entity Segmentation);
            None for no limit.
    """

    class_weight: float = 1.0
    box_weight: float = 1.0
    centerness_weight: float = 1.0
    mask_weight: float = 1.0
    masks_per_image: int = 120
    masks_per_object: int = 16
    masks_in_all: int | None = None


def flatten_levels(output: OneClickOutput) -> tuple[Tensor, Tensor, Tensor]:
    """Logits ``[B, L]``, distances in pixels ``[B, L, 4]``, centerness ``[B, L]`` of all levels, float32."""
    logits = torch.cat([level.logits.flatten(1) for level in output.levels], 1).float()
    centerness = torch.cat([level.centerness.flatten(1) for level in output.levels], 1).float()
    distances = [
        level.distances.flatten(2).transpose(1, 2).float() * stride
        for level, stride in zip(output.levels, STRIDES, strict=True)
    ]
    return logits, torch.cat(distances, 1), centerness


def at_most(groups: Tensor, most: int) -> Tensor:
    """Indices of at most ``most`` random members of each group.

    Args:
        groups: long ``[P]``, the group of each member.
        most: At most so many of each.
    """
    order = torch.randperm(len(groups), device=groups.device)
    shuffled = groups[order]
    stable = torch.argsort(shuffled, stable=True)
    grouped = shuffled[stable]
    starts = torch.searchsorted(grouped, grouped)  # first index of each group's run
    rank = torch.arange(len(grouped), device=groups.device) - starts
    return order[stable[rank < most]]


@dataclass(frozen=True)
class Positives:
    """Locations of a batch that learn an object, long ``[P]`` each.

    Attributes:
        image: Picture in the batch.
        place: Index into the list of all levels' locations.
        object: Index into the objects of all pictures, one picture's after the other's.
    """

    image: Tensor
    place: Tensor
    object: Tensor

    def chosen(self, index: Tensor) -> Positives:
        """Some of them."""
        return Positives(self.image[index], self.place[index], self.object[index])


def assign_pictures(targets: list[Targets], points: Tensor, levels: Tensor) -> Tensor:
    """What :func:`assign_locations` gives each picture, numbered through: long ``[B, L]``, −1 for none."""
    # boxes without a size take no location
    boxes = pad_sequence([t.boxes for t in targets], batch_first=True)  # [B, N, 4]
    centers = pad_sequence([t.centers for t in targets], batch_first=True)
    assigned = assign_locations(boxes, centers, points, levels)
    counts = torch.tensor([0, *(len(t.boxes) for t in targets[:-1])], device=points.device)
    return torch.where(assigned >= 0, assigned + counts.cumsum(0)[:, None], -1)


class OneClickCriterion:
    """Focal, GIoU weighted by centerness, centerness and Dice losses.

    Source: FCOS, equation 2, and Entity Segmentation's mask loss; SimpSON, section 3.1.
    """

    def __init__(self, config: CriterionConfig) -> None:
        self.config = config

    def __call__(
        self, model: OneClickModel, output: OneClickOutput, targets: list[Targets]
    ) -> dict[str, Tensor]:
        """Scalars ``class``, ``box``, ``centerness``, ``mask`` and their weighted sum ``total``."""
        logits, distances, centerness = flatten_levels(output)
        device = logits.device
        shapes = [(level.logits.shape[-2], level.logits.shape[-1]) for level in output.levels]
        points, levels = level_locations(shapes, device)
        assigned = assign_pictures(targets, points, levels)  # [B, L]
        positive = assigned >= 0
        count = positive.sum().clamp(min=1)
        losses = {"class": sigmoid_focal_loss(logits, positive.float()) / count}

        image, place = positive.nonzero(as_tuple=True)  # [P] each
        found = Positives(image, place, assigned[image, place])
        wanted = _distances_to(points[place], torch.cat([t.boxes for t in targets])[found.object])  # [P, 4]
        wanted_centerness = centerness_of(wanted)
        overlap = giou_loss(distances[image, place], wanted)
        losses["box"] = (overlap * wanted_centerness).sum() / wanted_centerness.sum().clamp(min=1e-6)
        binary = F.binary_cross_entropy_with_logits(
            centerness[image, place], wanted_centerness, reduction="sum"
        )
        losses["centerness"] = binary / count
        sizes = torch.tensor(SIZES_OF_INTEREST, device=device)[levels]  # [L]
        losses["mask"] = self._mask_loss(model, output, targets, found, points, sizes)
        c = self.config
        losses["total"] = (
            c.class_weight * losses["class"]
            + c.box_weight * losses["box"]
            + c.centerness_weight * losses["centerness"]
            + c.mask_weight * losses["mask"]
        )
        return losses

    def _mask_loss(
        self,
        model: OneClickModel,
        output: OneClickOutput,
        targets: list[Targets],
        found: Positives,
        points: Tensor,
        sizes: Tensor,
    ) -> Tensor:
        limit = self.config.masks_per_image
        if self.config.masks_in_all is not None:
            limit = min(limit, max(self.config.masks_in_all // len(targets), 1))
        kept = found.chosen(at_most(found.object, self.config.masks_per_object))
        kept = kept.chosen(at_most(kept.image, limit))
        if len(kept.image) == 0:
            return output.mask_features.sum() * 0
        kernels = gather_kernels(model, output, kept.image, kept.place).float()
        # not by an index, whose gradient several threads of a CPU add up in any order
        features = output.mask_features.index_select(0, kept.image).float()  # [M, 8, H / 4, W / 4]
        truth = torch.cat([t.masks for t in targets])[kept.object].float()
        place = (points[kept.place], sizes[kept.place])
        with torch.autocast(features.device.type, enabled=False):
            return _losses_of_paths(features, kernels, place, truth, model.heads.static_kernels).mean()


def _losses_of_paths(
    features: Tensor, kernels: Tensor, place: tuple[Tensor, Tensor], truth: Tensor, static: Tensor | None
) -> Tensor:
    """Dice losses ``[N]`` of masks; with a kernel bank, the weighted sum over its paths."""
    if static is None:
        return _dice(dynamic_masks(features, kernels, *place), truth)
    total = kernels.new_zeros(len(kernels))
    for path, weight in PATHS.items():
        masks = dynamic_masks(features, mixed_kernels(kernels, static.float(), path), *place)
        total = total + weight * _dice(masks, truth)
    return total


def _dice(logits: Tensor, truth: Tensor) -> Tensor:
    """Dice losses ``[N]`` of mask logits at stride 4 against truth at stride 4 or finer."""
    if truth.shape[-2:] != logits.shape[-2:]:
        size = truth.shape[-2:]
        logits = F.interpolate(logits[None], size=size, mode="bilinear", align_corners=False)[0]
    return dice_loss(logits.sigmoid(), truth)


def _distances_to(points: Tensor, boxes: Tensor) -> Tensor:
    """Distances (l, t, r, b) from ``[P, 2]`` points to the sides of ``[P, 4]`` boxes."""
    return torch.cat([points - boxes[:, :2], boxes[:, 2:] - points], 1)


def gather_kernels(model: OneClickModel, output: OneClickOutput, image: Tensor, place: Tensor) -> Tensor:
    """Mask kernels ``[N, 169]`` of chosen locations.

    With BatchNorm the kernel head runs on small patches around those locations only; with GroupNorm, whose
    statistics need the whole map, it runs densely.

    Args:
        model: The network.
        output: Its full pass.
        image: long ``[N]``, which image of the batch.
        place: long ``[N]``, index into the list of all levels' locations.
    """
    heads = model.heads
    results, order = [], []
    start = 0
    for level in output.levels:
        height, width = level.logits.shape[-2:]
        here = ((place >= start) & (place < start + height * width)).nonzero(as_tuple=True)[0]
        cells = place[here] - start
        start += height * width
        if len(here) == 0:
            continue
        order.append(here)
        features = heads.with_coordinates(level.features)
        row, column = cells // width, cells % width
        if model.config.norm == "batch":
            patches, inside = cut_patches(features, image[here], row, column, heads.kernel_reach)
            results.append(heads.kernels_from_patches(patches, inside))
        else:
            results.append(heads.dense_kernels(features)[image[here], :, row, column])
    if not results:
        return output.mask_features.new_zeros(0, heads.kernels.out_channels)
    return torch.cat(results)[torch.argsort(torch.cat(order))]


def cut_patches(
    features: Tensor, image: Tensor, row: Tensor, column: Tensor, reach: int
) -> tuple[Tensor, Tensor]:
    """Square patches around cells, zero outside the map.

    Args:
        features: ``[B, C, H, W]``.
        image: long ``[N]``, which image.
        row: long ``[N]``.
        column: long ``[N]``.
        reach: Cells on each side.

    Returns:
        ``[N, C, S, S]`` with S = 2 · reach + 1, and ``[N, 1, S, S]``: 1 inside the map.
    """
    height, width = features.shape[-2:]
    steps = torch.arange(-reach, reach + 1, device=features.device)
    rows, columns = row[:, None] + steps, column[:, None] + steps  # [N, S]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    patches = features[image[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # [N, S, S, C]
    mask = inside[:, None].to(features.dtype)
    return patches.permute(0, 3, 1, 2) * mask, mask
