"""What clicks say to the classical systems: sure pixels of object and background, and where to look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from toolkit.clicks import Click, disk_map


@dataclass(frozen=True)
class Seeds:
    """Clicks on a working copy of a photo.

    Attributes:
        inside: bool ``[h, w]``, surely the object.
        outside: bool ``[h, w]``, surely not.
        window: bool ``[h, w]``, where the object is sought.
    """

    inside: np.ndarray
    outside: np.ndarray
    window: np.ndarray


def seeds_of(
    clicks: Sequence[Click], height: int, width: int, scale: float, radius: float, reach: float
) -> Seeds:
    """Draw clicks.

    Args:
        clicks: In pixels of the photo.
        height: Of the working copy.
        width: Of the working copy.
        scale: Pixels of the copy per pixel of the photo.
        radius: Of the disk around each click that is sure, pixels of the copy; a negative click takes from
            the disks of positive ones.
        reach: Half of the side of the square around each positive click where the object is sought, as a part
            of the copy's longer side.
    """
    own = [Click(c.x * scale, c.y * scale, c.positive) for c in clicks]
    inside = disk_map([c for c in own if c.positive], height, width, radius=radius) > 0
    outside = disk_map([c for c in own if not c.positive], height, width, radius=radius) > 0
    for click in own:  # also where a disk is thinner than a pixel
        (inside if click.positive else outside)[min(click.row, height - 1), min(click.column, width - 1)] = (
            True
        )
    window = np.zeros((height, width), bool)
    half = reach * max(height, width)
    for click in own:
        if click.positive:
            rows = slice(max(int(click.y - half), 0), int(click.y + half) + 1)
            columns = slice(max(int(click.x - half), 0), int(click.x + half) + 1)
            window[rows, columns] = True
    return Seeds(inside & ~outside, outside, window)


def pieces_with(mask: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """The connected pieces (8 neighbours) of a mask, bool ``[h, w]``, that hold a seed."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    kept = np.unique(labels[mask & seeds])
    return np.isin(labels, kept[kept > 0])
