"""Many found objects, each read on a lattice of the photo: a single one costs little more than the asking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from models.one_click.dynamic_masks import MASK_STRIDE
from models.one_click.found_object import CELL_PLACE
from models.placed_object import SAMPLES, PlacedObject

MOST_ROWS = 30_000  # of an image that OpenCV samples: fewer than 2¹⁵


def in_masks(
    objects: Sequence[PlacedObject], chosen: np.ndarray, starts: np.ndarray, steps: np.ndarray, side: int
) -> np.ndarray:
    """Whether the points of P lattices lie in an object's mask each.

    Args:
        objects: The objects.
        chosen: int ``[P]``, which of them each lattice is for.
        starts: ``[P, 2]``, (x, y) of the first points, pixels of the photo.
        steps: ``[P, 2]``, from one point to the next in x and y.
        side: Points per side.

    Returns:
        bool ``[P, side, side]``, what ``objects[i].values(…) > 0`` says.
    """
    result = np.zeros((len(chosen), side, side), bool)
    for part in _that_fit(objects, chosen, side):
        result[part] = _in_masks(objects, chosen[part], starts[part], steps[part], side)
    return result


def lattices_over(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First points and steps, ``[P, 2]`` each, of `SAMPLES` × `SAMPLES` points over boxes ``[P, 4]``."""
    steps = (boxes[:, 2:] - boxes[:, :2]) / SAMPLES
    return boxes[:, :2] + steps / 2, steps


def measure(objects: Sequence[PlacedObject]) -> None:
    """Have each object know its ``own_samples`` and ``depth``, which it would else find out alone."""
    unknown = [item for item in objects if "own_samples" not in vars(item)]
    if not unknown:
        return
    boxes = np.array([item.box for item in unknown])  # [N, 4]
    starts, steps = lattices_over(boxes)
    depth_steps = np.repeat(np.array([item.depth_step for item in unknown])[:, None], 2, 1)
    side = SAMPLES + 1  # the lattice for the depth may have one point more
    inside = in_masks(
        unknown,
        np.tile(np.arange(len(unknown)), 2),
        np.concatenate([starts, boxes[:, :2] + depth_steps / 2]),
        np.concatenate([steps, depth_steps]),
        side,
    )
    own, deep = inside[: len(unknown), :SAMPLES, :SAMPLES], inside[len(unknown) :]
    # one image of all, one below the other, with a border around each
    cells = np.zeros((len(unknown), side + 2, side + 2), np.uint8)
    for index, item in enumerate(unknown):
        rows, columns = item.depth_shape
        cells[index, 1 : rows + 1, 1 : columns + 1] = deep[index, :rows, :columns]
    for first in range(0, len(unknown), MOST_ROWS // (side + 2)):
        part = cells[first : first + MOST_ROWS // (side + 2)]
        distances = cv2.distanceTransform(part.reshape(-1, side + 2), cv2.DIST_L2, cv2.DIST_MASK_5)
        for item, samples, distance in zip(
            unknown[first:], own[first:], distances.reshape(part.shape), strict=False
        ):
            # where functools.cached_property looks first
            vars(item).update(own_samples=samples, depth=item.depth_at(distance))


def _that_fit(objects: Sequence[PlacedObject], chosen: np.ndarray, side: int) -> Iterator[np.ndarray]:
    """Indices of lattices, so many at once that neither their masks nor their points have too many rows."""
    part: list[int] = []
    rows, last = 0, -1
    for lattice in np.argsort(chosen, kind="stable").tolist():
        index = int(chosen[lattice])
        height = len(objects[index].found.logits)
        rows += height if index != last else 0
        if part and max(rows, (len(part) + 1) * side) > MOST_ROWS:
            yield np.array(part)
            part, rows = [], height
        part.append(lattice)
        last = index
    if part:
        yield np.array(part)


def _in_masks(
    objects: Sequence[PlacedObject], chosen: np.ndarray, starts: np.ndarray, steps: np.ndarray, side: int
) -> np.ndarray:
    """As :func:`in_masks`, for so many that all masks fit into one image, one below the other.

    No point reads a neighbour's cell: between a window's outermost cell and its edge it reads that cell.
    """
    indices, which = np.unique(chosen, return_inverse=True)
    found = [objects[index].found for index in indices]
    sizes = np.array([one.logits.shape[::-1] for one in found])  # [M, 2], columns and rows
    tops = np.cumsum(sizes[:, 1]) - sizes[:, 1]
    image = np.zeros((sizes[:, 1].sum(), sizes[:, 0].max()), np.float32)
    for top, (width, height), one in zip(tops, sizes, found, strict=True):
        image[top : top + height, :width] = one.logits
    unit = np.array([objects[index].scale for index in indices])[which, None, None] / MASK_STRIDE
    corners = np.array([(one.left, one.top) for one in found])[which, :, None]
    last = sizes[which, :, None] - 1
    # [P, 2, side], (x, y) in cells of the object's window
    points = (starts[..., None] + steps[..., None] * np.arange(side)) * unit - corners
    exists = (points >= 0) & (points < last + 1)
    places = (points - CELL_PLACE / MASK_STRIDE).clip(0, last)
    places[:, 1] += tops[which, None]
    places = places.astype(np.float32)
    shape = (len(chosen), side, side)
    values = cv2.remap(
        image,
        np.broadcast_to(places[:, 0, None, :], shape).reshape(-1, side),
        np.broadcast_to(places[:, 1, :, None], shape).reshape(-1, side),
        cv2.INTER_LINEAR,
    )
    inside: np.ndarray = (values.reshape(shape) > 0) & exists[:, 0, None, :] & exists[:, 1, :, None]
    return inside
