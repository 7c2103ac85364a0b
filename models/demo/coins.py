"""How many of the 24 coins a selection holds: a classical reference for the one photo where it is easy.

The reference only counts; nothing of it reaches the selection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FOUND_IOU = 0.5
# Grey levels surely below and above the edge of a coin in scikit-image's coins.png, and the size of a speck.
BACKGROUND, COIN, SPECK = 30, 150, 200


@dataclass(frozen=True)
class CoinCount:
    """What a selection holds of the coins.

    Attributes:
        of: coins in the photo.
        found: coins that a mask of their own covers with an IoU of at least 0.5.
        not_coins: masks that cover no coin, or one that another mask covers better.
        mean_iou: mean over the found coins; None when there are none.
        missed: indices of the reference coins that no mask covers.
    """

    of: int
    found: int
    not_coins: int
    mean_iou: float | None
    missed: tuple[int, ...]


def reference_coins(image: np.ndarray) -> list[np.ndarray]:
    """Outline the coins by a watershed on the gradient.

    Args:
        image: uint8 [H, W, 3], scikit-image's coins.png.

    Returns:
        bool [H, W] for each coin.
    """
    from scipy import ndimage
    from skimage.filters import sobel
    from skimage.segmentation import watershed

    grey = image[..., 0]
    markers = np.zeros(grey.shape, int)
    markers[grey < BACKGROUND] = 1
    markers[grey > COIN] = 2
    filled = ndimage.binary_fill_holes(watershed(sobel(grey), markers) == 2)
    labels, count = ndimage.label(filled)
    masks = [labels == label for label in range(1, count + 1)]
    return [mask for mask in masks if mask.sum() > SPECK]


def count_coins(masks: Sequence[np.ndarray], coins: Sequence[np.ndarray]) -> CoinCount:
    """Match masks bool [H, W] one to one with the reference coins, so that the sum of IoUs is the largest."""
    from scipy.optimize import linear_sum_assignment

    from toolkit.masks import mask_iou

    iou = np.array([[mask_iou(mask, coin) for coin in coins] for mask in masks]).reshape(
        len(masks), len(coins)
    )
    rows, columns = linear_sum_assignment(iou, maximize=True)
    good = iou[rows, columns] >= FOUND_IOU
    missed = sorted(set(range(len(coins))) - set(columns[good].tolist()))
    found = int(good.sum())
    mean = float(iou[rows, columns][good].mean()) if found else None
    return CoinCount(len(coins), found, len(masks) - found, mean, tuple(missed))
