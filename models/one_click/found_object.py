"""A clicked object as a copy of the photo shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from models.one_click.dynamic_masks import MASK_STRIDE

# Where in its cell, in pixels, a mask's value lies. The masks to learn are sampled at every fourth pixel from
# the third on (or from the second at stride 2, which interpolation makes the same): at those pixels' centres.
CELL_PLACE = 2.5
# Pieces of a mask smaller than this part of the largest one are specks.
SMALLEST_PIECE = 0.1


@dataclass(frozen=True)
class FoundObject:
    """A clicked object, in the network's coordinates.

    Attributes:
        logits: float32 ``[h, w]`` at stride 4, the window that holds the mask.
        top: Row of the window's first cell.
        left: Column of it.
        score: 0–1.
        clicks: The clicks it answers, (x, y) in pixels.
        quality: Expected IoU of the mask with the object, 0–1; 1 where nothing judged it.
    """

    logits: np.ndarray
    top: int
    left: int
    score: float
    clicks: tuple[tuple[float, float], ...]
    quality: float = 1.0

    @property
    def box(self) -> tuple[float, float, float, float]:
        """(x1, y1, x2, y2) of the mask in pixels, to the cell."""
        column, row, width, height = cv2.boundingRect((self.logits > 0).view(np.uint8))
        left, top = (self.left + column) * MASK_STRIDE, (self.top + row) * MASK_STRIDE
        return (
            float(left),
            float(top),
            float(left + width * MASK_STRIDE),
            float(top + height * MASK_STRIDE),
        )

    @cached_property
    def sureness(self) -> float:
        """How far from doubt the mask is: the mean of 2 p − 1 over its cells, where p > 1/2; 0 without any.

        Source: Wang et al., "SOLO" (2020), the maskness, here from 0 to 1.
        """
        inside = self.logits[self.logits > 0]
        return float(np.tanh(inside / 2).mean()) if inside.size else 0.0

    def coverage(self, height: int, width: int) -> np.ndarray:
        """The soft mask as a whole map at stride 4, float32 ``[height, width]``, 0–1.

        What was found in another copy of the photo may reach a cell beyond this one's last.
        """
        full = np.zeros((height, width), np.float32)
        inside = full[
            self.top : self.top + self.logits.shape[0], self.left : self.left + self.logits.shape[1]
        ]
        inside[:] = 1 / (1 + np.exp(-self.logits[: inside.shape[0], : inside.shape[1]].clip(-30, 30)))
        return full

    def value_at(self, x: float, y: float) -> float:
        """The logit at a pixel, bilinear; -inf outside the window."""
        h, w = self.logits.shape
        column, row = x / MASK_STRIDE - self.left, y / MASK_STRIDE - self.top
        if not (0 <= row < h and 0 <= column < w):
            return -np.inf
        column = min(max(column - CELL_PLACE / MASK_STRIDE, 0.0), w - 1.0)
        row = min(max(row - CELL_PLACE / MASK_STRIDE, 0.0), h - 1.0)
        r, c = min(int(row), max(h - 2, 0)), min(int(column), max(w - 2, 0))
        near = self.logits[r : r + 2, c : c + 2]
        # a single point: several times as fast as OpenCV's remap
        rows = [float(values[0]) + (column - c) * float(values[-1] - values[0]) for values in near]
        return rows[0] + (row - r) * (rows[-1] - rows[0])

    def mask(self, height: int, width: int, scale: float) -> np.ndarray:
        """The mask in the photo, of which the network saw a copy ``scale`` times as large; bool."""
        return in_photo(*self.piece(height, width, scale), height, width)

    def piece(self, height: int, width: int, scale: float) -> tuple[np.ndarray, int, int]:
        """The part of :meth:`mask` that may hold anything, and the row and column of its first pixel."""
        h, w = self.logits.shape
        x1 = max(int(np.floor(self.left * MASK_STRIDE / scale)), 0)
        y1 = max(int(np.floor(self.top * MASK_STRIDE / scale)), 0)
        x2 = min(int(np.ceil((self.left + w) * MASK_STRIDE / scale)), width)
        y2 = min(int(np.ceil((self.top + h) * MASK_STRIDE / scale)), height)
        if x2 <= x1 or y2 <= y1:
            return np.zeros((0, 0), bool), 0, 0
        # from pixels of the photo to cells of the window, both counted from the first one's centre
        step = scale / MASK_STRIDE
        column = ((x1 + 0.5) * scale - CELL_PLACE) / MASK_STRIDE - self.left
        row = ((y1 + 0.5) * scale - CELL_PLACE) / MASK_STRIDE - self.top
        matrix = np.array([[step, 0, column], [0, step, row]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        values = cv2.warpAffine(
            self.logits, matrix, (x2 - x1, y2 - y1), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        points = [(x / scale - x1, y / scale - y1) for x, y in self.clicks]
        return without_specks(values > 0, points), y1, x1


def in_photo(piece: np.ndarray, top: int, left: int, height: int, width: int) -> np.ndarray:
    """A piece of a mask, from a row and column on, as the mask of a whole photo; bool ``[height, width]``."""
    mask = np.zeros((height, width), bool)
    mask[top : top + piece.shape[0], left : left + piece.shape[1]] = piece
    return mask


def without_specks(mask: np.ndarray, clicks: Sequence[tuple[float, float]]) -> np.ndarray:
    """Keep the pieces of a mask that hold a click or are no specks beside the largest."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    keep = areas >= SMALLEST_PIECE * areas.max()
    for x, y in clicks:
        row, column = int(y), int(x)
        if 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]:
            keep[labels[row, column]] = True
    keep[0] = False
    return keep[labels]
