"""From a photo to a view: a copy at one scale, as the networks take it, encoded."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from models.view import PhotoView, SelectionModels

PADDING_MULTIPLE = 32


@torch.no_grad()
def encode_view(models: SelectionModels, image: np.ndarray, scale: float) -> PhotoView:
    """Encode a copy of a photo.

    Args:
        models: The networks.
        image: uint8 ``[H, W, 3]`` RGB, the photo.
        scale: Pixels of the copy per pixel of the photo.
    """
    model = models.finder.model
    pixels, rows, columns = network_input(image, scale, model.config.image_mean)
    pixels = pixels.to(model.device)
    encoded = models.finder.encode(pixels[None], rows, columns, models.read_stages)
    return PhotoView(models, pixels, encoded, scale)


def network_input(image: np.ndarray, scale: float, colour: list[float]) -> tuple[Tensor, int, int]:
    """A copy of a photo as the networks take it.

    Args:
        image: uint8 ``[H, W, 3]`` RGB.
        scale: Pixels of the copy per pixel of the photo.
        colour: RGB 0–255 of the padding.

    Returns:
        uint8 ``[3, H', W']``, padded to multiples of 32; and the rows and columns of it that the photo fills.
    """
    height, width = image.shape[:2]
    rows, columns = max(round(height * scale), 1), max(round(width * scale), 1)
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(image, (columns, rows), interpolation=mode) if scale != 1 else image
    padded = pad(scaled, colour)
    return torch.from_numpy(np.ascontiguousarray(padded.transpose(2, 0, 1))), rows, columns


def pad(image: np.ndarray, colour: list[float]) -> np.ndarray:
    """Pad ``[H, W, 3]`` at the right and bottom to multiples of 32, with the network's mean colour."""
    height, width = image.shape[:2]
    bottom, right = -height % PADDING_MULTIPLE, -width % PADDING_MULTIPLE
    if not bottom and not right:
        return image
    value = [round(c) for c in colour]
    return cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=value)
