"""Pasting: a cut-out joins a photo, and what it covers loses those pixels.

The four blends differ only at the seam. A model that learns from pasted objects should see several of them,
or it learns the seam instead of the object (Dwibedi et al., "Cut, Paste and Learn", ICCV 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from toolkit.cutouts import Cutout
from toolkit.errors import InputError
from toolkit.poisson import cloned_difference

BLENDS = ("hard", "feather", "gaussian", "poisson")

GAUSSIAN_SIGMA = 1.5  # pixels; wider ramps make small objects transparent
# Poisson blending by itself gives a plain object the photo's colour all over: it would be annotated but
# invisible. So its correction fades with the depth inside the object, to a share that is kept everywhere.
POISSON_DEPTH, POISSON_KEPT = 2.0, 0.2  # pixels; share
# Gradients of the object count from so deep inside it on: nearer its edge they hold its old background. As in
# OpenCV's seamlessClone.
POISSON_EDGE, _EDGE = 3, np.ones((3, 3), np.uint8)  # pixels


@dataclass(frozen=True)
class PlacedMask:
    """A mask kept as the crop that holds it.

    Attributes:
        left: column of the crop's first pixel in the photo.
        top: row of the crop's first pixel in the photo.
        mask: bool [h, w], inside the photo.
    """

    left: int
    top: int
    mask: np.ndarray

    @property
    def area(self) -> int:
        """Number of pixels set."""
        return int(np.count_nonzero(self.mask))

    @property
    def window(self) -> tuple[slice, slice]:
        """The crop's place in the photo, as an index: ``photo[placed.window]``."""
        height, width = self.mask.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The crop's place in the photo: x0, y0, x1, y1, ends exclusive."""
        height, width = self.mask.shape
        return self.left, self.top, self.left + width, self.top + height

    def full(self, height: int, width: int) -> np.ndarray:
        """The mask at the photo's size, bool [height, width]."""
        mask = np.zeros((height, width), bool)
        mask[self.window] = self.mask
        return mask

    def tight(self) -> PlacedMask:
        """The same pixels in the smallest crop; one of no pixels when none is set."""
        left, top, width, height = cv2.boundingRect(np.ascontiguousarray(self.mask).view(np.uint8))
        crop = self.mask[top : top + height, left : left + width]
        return PlacedMask(self.left + left, self.top + top, crop.copy()) if width else PlacedMask(0, 0, crop)

    @classmethod
    def from_full(cls, mask: np.ndarray) -> PlacedMask:
        """Crop a mask bool [H, W] to what is set; an empty one becomes a crop of no pixels."""
        return cls(0, 0, mask).tight()


def paste(canvas: np.ndarray, cutout: Cutout, left: int, top: int, mode: str = "feather") -> PlacedMask:
    """Paste a cut-out into a photo, in place.

    Args:
        canvas: uint8 [H, W, 3], changed.
        cutout: what to paste.
        left: column where the cut-out's first column lands; may lie outside, the rest is clipped.
        top: row where the cut-out's first row lands.
        mode: ``hard`` (the mask), ``feather`` (the cut-out's own alpha), ``gaussian`` (a blurred mask) or
            ``poisson`` (gradients of the object, colours of the photo at its edge; its own further in).

    Returns:
        The pasted object's mask inside the photo; of no pixels when it lies outside.

    Raises:
        InputError: when the mode has no such name.
    """
    if mode not in BLENDS:
        raise InputError(f"Blend {mode!r} is unknown: use one of {', '.join(BLENDS)}.")
    height, width = canvas.shape[:2]
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + cutout.width, width), min(top + cutout.height, height)
    if x0 >= x1 or y0 >= y1:
        return PlacedMask(0, 0, np.zeros((0, 0), bool))
    source = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    mask = cutout.mask[source]
    target = canvas[y0:y1, x0:x1]
    if mode == "hard":
        np.copyto(target, cutout.image[source], where=mask[..., None])
    elif mode == "poisson":
        _clone(target, cutout.image[source], mask)
    else:
        mix(target, cutout.image[source], edge_alpha(cutout, mode)[source])
    return PlacedMask(x0, y0, mask.copy())


def edge_alpha(cutout: Cutout, mode: str) -> np.ndarray:
    """The alpha uint8 [h, w] with which a blend mixes a cut-out (``poisson`` mixes where the mask is)."""
    if mode == "feather":
        return cutout.alpha
    alpha = cutout.mask.astype(np.uint8) * np.uint8(255)
    if mode == "gaussian":
        return cv2.GaussianBlur(alpha, (0, 0), GAUSSIAN_SIGMA, borderType=cv2.BORDER_CONSTANT)
    return alpha


def mix(target: np.ndarray, image: np.ndarray, alpha: np.ndarray) -> None:
    """Mix an image into a target of the same size, in place: ``target + (image - target) * alpha / 255``.

    Args:
        target: uint8 [h, w, 3], changed.
        image: uint8 [h, w, 3].
        alpha: uint8 [h, w].
    """
    weight = alpha.astype(np.uint16)[..., None]
    mixed = image * weight  # 255 · 255 + 127 is the most: it fits uint16
    mixed += target * (255 - weight)
    mixed += 127
    target[...] = mixed // 255


def _clone(target: np.ndarray, image: np.ndarray, mask: np.ndarray) -> None:
    """Poisson-blend an image into a target where the mask is set, in place."""
    inside = mask.view(np.uint8)
    x, y, width, height = cv2.boundingRect(inside)
    if width < 3 or height < 3:  # too thin to have an inside to solve for
        mix(target, image, inside * np.uint8(255))
        return
    box = (slice(y, y + height), slice(x, x + width))
    padded = cv2.copyMakeBorder(inside[box], 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1, None]  # from 1
    guiding = cv2.erode(padded, _EDGE, iterations=POISSON_EDGE)[1:-1, 1:-1].view(bool)
    own = image[box].astype(np.float32)
    change = cloned_difference(own - target[box], guiding) + target[box] - own
    change *= POISSON_KEPT + (1 - POISSON_KEPT) * np.exp((1.0 - depth) / np.float32(POISSON_DEPTH))
    blended = np.clip(np.rint(own + change), 0, 255).astype(np.uint8)
    np.copyto(target[box], blended, where=mask[box][..., None])


def paste_occlusion(masks: Sequence[PlacedMask], pasted: PlacedMask) -> list[PlacedMask]:
    """What is left of earlier masks once an object lies over them.

    Args:
        masks: earlier instances of the photo; those that the object does not touch are returned as they are.
        pasted: the object's mask.

    Returns:
        One mask per earlier one, in order, in the same crop; possibly with no pixel set.
    """
    return [occlude(placed, pasted) for placed in masks]


def occlude(placed: PlacedMask, pasted: PlacedMask) -> PlacedMask:
    """Take the pixels that ``pasted`` covers away from ``placed``."""
    height, width = placed.mask.shape
    over_height, over_width = pasted.mask.shape
    x0, y0 = max(placed.left, pasted.left), max(placed.top, pasted.top)
    x1 = min(placed.left + width, pasted.left + over_width)
    y1 = min(placed.top + height, pasted.top + over_height)
    if x0 >= x1 or y0 >= y1:
        return placed
    cover = pasted.mask[y0 - pasted.top : y1 - pasted.top, x0 - pasted.left : x1 - pasted.left]
    window = (slice(y0 - placed.top, y1 - placed.top), slice(x0 - placed.left, x1 - placed.left))
    if not (placed.mask[window] & cover).any():
        return placed
    mask = placed.mask.copy()
    mask[window] &= ~cover
    return PlacedMask(placed.left, placed.top, mask)
