"""How far the masks of found objects overlap in the photo, whatever copies of it showed them.

A click has a hundred pairs of proposals, each compared on a lattice: all their values are read at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from models.one_click.dynamic_masks import MASK_STRIDE
from models.one_click.found_object import CELL_PLACE
from models.placed_object import SAMPLES, PlacedObject

MOST_ROWS = 30_000  # of an image that OpenCV samples: fewer than 2¹⁵
_TINY = 1e-9


def overlaps(items: Sequence[PlacedObject], others: Sequence[PlacedObject]) -> np.ndarray:
    """IoUs ``[N, M]`` of two lists of objects, compared on a lattice over the smaller one's box."""
    objects = list(items) if others is items else [*items, *others]
    boxes = np.array([item.box for item in objects]).reshape(-1, 4)
    places = np.arange(len(items))[:, None], np.arange(len(objects) - len(others), len(objects))[None]
    same = np.array([[a is b for b in others] for a in items], bool).reshape(len(items), len(others))
    to_compare = _meet(boxes[places[0]], boxes[places[1]]) & ~same
    if others is items:
        to_compare = np.triu(to_compare)
    rows, columns = to_compare.nonzero()
    result = same.astype(float)
    result[rows, columns] = _ious(objects, boxes, places[0][rows, 0], places[1][0, columns])
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
    for index in np.unique(np.concatenate([small, large])):
        areas[index] = objects[index].area
        own[index] = objects[index].own_samples
    share = np.zeros(len(first))
    for part in _that_fit(objects, large):
        held = own[small[part]] & _samples(objects, large[part], boxes[small[part]])
        share[part] = np.count_nonzero(held, axis=(1, 2)) / SAMPLES**2
    common = share * box_areas[small]
    return common / np.maximum(np.maximum(areas[small] + areas[large] - common, common), _TINY)


def _that_fit(objects: Sequence[PlacedObject], large: np.ndarray) -> Iterator[np.ndarray]:
    """Indices of pairs, so many at once that neither their masks nor their samples have too many rows."""
    part: list[int] = []
    heights: dict[int, int] = {}
    for pair in np.argsort(large, kind="stable"):
        index = int(large[pair])
        height = 0 if index in heights else len(objects[index].found.logits)
        if part and max(sum(heights.values()) + height, (len(part) + 1) * SAMPLES) > MOST_ROWS:
            yield np.array(part)
            part, heights = [], {}
        heights[index] = len(objects[index].found.logits)
        part.append(int(pair))
    if part:
        yield np.array(part)


def _samples(objects: Sequence[PlacedObject], chosen: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """What :meth:`PlacedObject.samples` says of objects, by indices ``[P]``, each over a box of ``[P, 4]``.

    Their windows lie in one image, one below the other. No point reads a neighbour's cell: where it lies
    between a window's outermost cell and its edge, it reads that cell.
    """
    indices, which = np.unique(chosen, return_inverse=True)
    found = [objects[index].found for index in indices]
    heights, widths = np.array([one.logits.shape for one in found]).T
    tops = np.cumsum(heights) - heights
    image = np.zeros((heights.sum(), widths.max()), np.float32)
    for top, one in zip(tops, found, strict=True):
        image[top : top + one.logits.shape[0], : one.logits.shape[1]] = one.logits
    unit = np.array([objects[index].scale for index in indices])[which, None] / MASK_STRIDE  # cells per pixel
    places = []
    for axis, starts, cells in (
        (0, [one.left for one in found], widths),
        (1, [one.top for one in found], heights),
    ):
        low, high = boxes[:, axis, None], boxes[:, axis + 2, None]
        points = (low + (high - low) / SAMPLES * (np.arange(SAMPLES) + 0.5)) * unit  # [P, SAMPLES]
        points -= np.array(starts)[which, None]
        last = cells[which, None]
        places.append((points, (points >= 0) & (points < last), last))
    (x, in_x, last_x), (y, in_y, last_y) = places
    middle = CELL_PLACE / MASK_STRIDE  # of a value in its cell
    columns = (x - middle).clip(0, last_x - 1)[:, None, :]
    rows = ((y - middle).clip(0, last_y - 1) + tops[which, None])[:, :, None]
    shape = (len(chosen), SAMPLES, SAMPLES)
    values = cv2.remap(
        image,
        np.broadcast_to(columns, shape).astype(np.float32).reshape(-1, SAMPLES),
        np.broadcast_to(rows, shape).astype(np.float32).reshape(-1, SAMPLES),
        cv2.INTER_LINEAR,
    )
    inside: np.ndarray = (values.reshape(shape) > 0) & in_x[:, None, :] & in_y[:, :, None]
    return inside
