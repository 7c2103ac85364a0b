"""What the refiner sees of an object: a square crop around its mask, the mask and the clicks in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.placed_object import PlacedObject
from models.roi_align import roi_align

CLICK_SIGMA = 3.0  # pixels of the crop
SMALLEST_BOX = 8.0  # pixels of the picture: no crop shows less than so much times the context
BORDER = 2  # pixels that interpolation reaches beyond a square
SAMPLING = 2  # samples per pixel of the crop and side

Square = tuple[float, float, float]  # left, top and side


@dataclass(frozen=True)
class RefinerInputs:
    """N crops.

    Attributes:
        pixels: ``[N, 3, S, S]`` RGB 0–255.
        prior: ``[N, 1, S, S]`` logits of the masks so far.
        clicks: ``[N, 1, S, S]``, 0–1.
    """

    pixels: Tensor
    prior: Tensor
    clicks: Tensor

    def to(self, device: torch.device) -> RefinerInputs:
        """The same on another device."""
        return RefinerInputs(self.pixels.to(device), self.prior.to(device), self.clicks.to(device))

    @staticmethod
    def join(parts: Sequence[RefinerInputs]) -> RefinerInputs:
        """Crops of several pictures in one batch."""
        return RefinerInputs(
            torch.cat([p.pixels for p in parts]),
            torch.cat([p.prior for p in parts]),
            torch.cat([p.clicks for p in parts]),
        )


def square_around(item: PlacedObject, context: float) -> Square:
    """The square that the refiner looks at, pixels of the photo.

    Args:
        item: The object.
        context: Its side over the larger side of the mask's box.
    """
    x1, y1, x2, y2 = item.box
    side = max(item.side, SMALLEST_BOX) * context
    return (x1 + x2 - side) / 2, (y1 + y2 - side) / 2, side


def cut_crops(
    image: Tensor, scale: float, items: Sequence[PlacedObject], squares: Sequence[Square], size: int
) -> RefinerInputs:
    """Cut the crops of one photo's objects; beyond the photo they repeat its border.

    Args:
        image: ``[3, H, W]`` RGB 0–255, a copy of the photo.
        scale: Its pixels per pixel of the photo.
        items: N objects.
        squares: Where to look, pixels of the photo.
        size: Side of the crops.
    """
    priors = [_prior(item, square, size) for item, square in zip(items, squares, strict=True)]
    clicks = [click_map(item, square, size) for item, square in zip(items, squares, strict=True)]
    return RefinerInputs(
        torch.cat([_pixels(image, scale, square, size) for square in squares]),
        torch.stack(priors)[:, None].to(image.device),
        torch.stack(clicks)[:, None].to(image.device),
    )


def _pixels(image: Tensor, scale: float, square: Square, size: int) -> Tensor:
    """A square's pixels ``[1, 3, size, size]``; only that part of the image becomes floats."""
    x1, y1 = square[0] * scale, square[1] * scale
    side = square[2] * scale
    height, width = image.shape[-2:]
    top, left = (
        min(max(int(start) - BORDER, 0), length - 1) for start, length in ((y1, height), (x1, width))
    )
    bottom, right = (
        max(int(start + side) + BORDER + 1, first + 1) for start, first in ((y1, top), (x1, left))
    )
    part = image[:, top:bottom, left:right].float()
    box = torch.tensor([[x1 - left, y1 - top, x1 + side - left, y1 + side - top]], device=image.device)
    return roi_align(part, box, 1.0, size, SAMPLING)


def _prior(item: PlacedObject, square: Square, size: int) -> Tensor:
    """Mask logits ``[size, size]`` in a square."""
    left, top, side = square
    step = side / size
    return torch.from_numpy(item.values(left + step / 2, top + step / 2, (step, step), (size, size)))


def click_map(item: PlacedObject, square: Square, size: int) -> Tensor:
    """A Gaussian around each of an object's clicks that lies in a square: ``[size, size]``, 0–1."""
    left, top, side = square
    steps = torch.arange(size) + 0.5  # pixels of the crop
    total = torch.zeros(size, size)
    for x, y in item.found.clicks:
        columns = (steps - (x / item.scale - left) / side * size) / CLICK_SIGMA
        rows = (steps - (y / item.scale - top) / side * size) / CLICK_SIGMA
        total = torch.maximum(total, torch.exp(-0.5 * (rows[:, None] ** 2 + columns[None] ** 2)))
    return total
