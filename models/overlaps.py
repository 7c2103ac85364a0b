"""How far the masks of found objects overlap in the photo, whatever copies of it showed them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.placed_object import SAMPLES, PlacedObject
from models.sampling import in_masks, lattices_over, measure

_TINY = 1e-9


def overlaps(items: Sequence[PlacedObject], others: Sequence[PlacedObject]) -> np.ndarray:
    """IoUs ``[N, M]`` of two lists of objects, compared on a lattice over the smaller one's box."""
    objects = list(items) if others is items else [*items, *others]
    boxes = np.array([item.box for item in objects]).reshape(-1, 4)
    start = len(objects) - len(others)  # of the others among them
    same = np.array([[a is b for b in others] for a in items], bool).reshape(len(items), len(others))
    to_compare = _meet(boxes[: len(items), None], boxes[None, start:]) & ~same
    if others is items:
        to_compare = np.triu(to_compare)
    rows, columns = to_compare.nonzero()
    result = same.astype(float)
    result[rows, columns] = _ious(objects, boxes, rows, start + columns)
    if others is items:
        result[columns, rows] = result[rows, columns]
    return result


def overlaps_of_smaller(item: PlacedObject, others: Sequence[PlacedObject]) -> np.ndarray:
    """For each other object, the part of the smaller of the two that lies in the other one, ``[M]``, 0–1."""
    iou = overlaps([item], others)[0]
    areas = np.array([other.area for other in others])
    common = iou / (1 + iou) * (areas + item.area)  # IoU = common / (sum - common)
    return common / np.maximum(np.minimum(areas, item.area), _TINY)


def _meet(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether boxes ``[…, 4]`` have a part in common."""
    met: np.ndarray = np.all((a[..., :2] < b[..., 2:]) & (b[..., :2] < a[..., 2:]), axis=-1)
    return met


def _ious(
    objects: Sequence[PlacedObject], boxes: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """IoUs ``[P]`` of pairs of objects, given by their indices ``[P]``."""
    if not len(first):
        return np.zeros(0)
    box_areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    swap = box_areas[first] > box_areas[second]
    small, large = np.where(swap, second, first), np.where(swap, first, second)
    areas = np.zeros(len(objects))
    own = np.zeros((len(objects), SAMPLES, SAMPLES), bool)
    compared = np.unique(np.concatenate([small, large])).tolist()
    measure([objects[index] for index in compared])
    for index in compared:
        areas[index] = objects[index].area
        own[index] = objects[index].own_samples
    held = own[small] & in_masks(objects, large, *lattices_over(boxes[small]), SAMPLES)
    share = np.count_nonzero(held, axis=(1, 2)) / SAMPLES**2
    common = share * box_areas[small]
    return common / np.maximum(np.maximum(areas[small] + areas[large] - common, common), _TINY)
