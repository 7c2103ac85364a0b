"""Convert masks between every form they travel in; the only place that does.

In memory a mask is bool [H, W]; at rest it is compressed COCO RLE, `{"size": [H, W], "counts": str}`. RLE,
exact polygons, PNG and Label Studio's brush RLE all hold any mask without loss: with holes, in parts, empty.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask
from shapely import MultiPolygon, Polygon

from toolkit._mask_polygons import mask_to_polygons, polygons_to_mask
from toolkit.errors import InputError
from toolkit.image import open_stored

__all__ = [
    "MultiPolygon",
    "Polygon",
    "brush_rle_to_mask",
    "coco_polygons_to_rle",
    "mask_box",
    "mask_iou",
    "mask_to_brush_rle",
    "mask_to_png",
    "mask_to_polygons",
    "mask_to_rle",
    "png_to_mask",
    "polygons_to_mask",
    "rle_area",
    "rle_box",
    "rle_counts",
    "rle_iou",
    "rle_to_mask",
]

# pycocotools draws outlines point by point; a coordinate beyond this is a mistake that would fill the memory.
_FARTHEST_COORDINATE = 1e6


def mask_to_rle(mask: np.ndarray, box: tuple[float, float, float, float] | None = None) -> dict[str, Any]:
    """Encode a mask as compressed COCO RLE, ready for JSON.

    Args:
        mask: bool [H, W]; of any other type, what is not zero counts.
        box: (x0, y0, x1, y1), pixels, ends exclusive, that holds all set pixels, where it is known: a small
            object of a large photo takes a hundredth of the time then.

    Raises:
        InputError: the mask is not two-dimensional, or has no pixels.
    """
    if box is not None:
        return _boxed_rle(mask, *(int(side) for side in box))
    binary = _binary(mask)
    # pycocotools wants columns first; cv2.transpose is several times faster than NumPy's copy.
    encoded = coco_mask.encode(cv2.transpose(binary).T)
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def _boxed_rle(mask: np.ndarray, x0: int, y0: int, x1: int, y1: int) -> dict[str, Any]:
    """Encode a mask [H, W] whose set pixels all lie in a box."""
    height, width = mask.shape
    # An unset row below each column keeps its runs from touching those of the next one.
    across, down = max(x1 - x0, 0), max(y1 - y0, 0) + 1
    inside = np.zeros(1 + across * down, bool)  # an unset pixel first, so that each run has a step before it
    inside[1:].reshape(across, down)[:, :-1] = mask[y0:y1, x0:x1].T
    edges = np.flatnonzero(inside[1:] != inside[:-1])  # where runs begin and end, in turns, down the columns
    column, row = np.divmod(edges, down)
    places = (x0 + column) * height + y0 + row  # the same, counted down the photo's
    runs = _runs_between(places, height * width)
    # A run down to the photo's last row and one from the next column's first are one.
    if not runs[2:-1].all():
        joined = np.flatnonzero(runs[2:-1:2] == 0) * 2 + 2
        places = np.delete(places, np.concatenate([joined - 1, joined]))
        runs = _runs_between(places, height * width)
    if len(runs) > 1 and runs[-1] == 0:
        runs = runs[:-1]
    encoded = coco_mask.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width)
    return {"size": [height, width], "counts": encoded["counts"].decode("ascii")}


def _runs_between(places: np.ndarray, end: int) -> np.ndarray:
    """Lengths int64 [N + 1] of the runs that N places part, from 0 to an end."""
    runs = np.empty(len(places) + 1, np.int64)
    runs[:-1] = places
    runs[-1] = end
    runs[1:] -= places
    return runs


def rle_to_mask(rle: Mapping[str, Any]) -> np.ndarray:
    """Decode COCO RLE, compressed (str or bytes) or not (list of counts).

    Returns:
        bool [H, W].

    Raises:
        InputError: the counts are damaged or do not add up to the size.
    """
    height, width = _size(rle)
    runs = rle_counts(rle)
    # np.repeat fills long runs at once: many times as fast as the decoder of pycocotools.
    columns = np.repeat((np.arange(len(runs)) & 1).astype(np.uint8), runs).reshape(width, height)
    return cv2.transpose(columns).view(bool)


def rle_counts(rle: Mapping[str, Any]) -> np.ndarray:
    """Return the run lengths of COCO RLE: unset, set, unset, … down the columns.

    Returns:
        int64 [R]; they add up to H · W.

    Raises:
        InputError: the counts are damaged or do not add up to the size.
    """
    height, width = _size(rle)
    counts = rle.get("counts")
    if isinstance(counts, (str, bytes)):
        runs = _unpacked(counts.encode("utf-8") if isinstance(counts, str) else counts)
    elif isinstance(counts, Sequence) and all(isinstance(count, (int, np.integer)) for count in counts):
        runs = np.array(counts, dtype=np.int64)
    else:
        raise InputError("bad RLE: 'counts' must be a string or a list of whole numbers")
    if runs.min(initial=0) < 0:
        raise InputError("bad RLE: a count is negative")
    if (total := int(runs.sum())) != height * width:
        raise InputError(f"bad RLE: the counts add up to {total}, not to the size, {height} × {width} pixels")
    return runs


def rle_area(rle: Mapping[str, Any]) -> int:
    """Return the number of set pixels."""
    return int(coco_mask.area(_checked(rle)))


def rle_box(rle: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Return the box (x, y, width, height) around the set pixels; (0, 0, 0, 0) when there are none."""
    x, y, width, height = coco_mask.toBbox(_checked(rle)).tolist()
    return x, y, width, height


def mask_box(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Return the box (x0, y0, x1, y1) around the set pixels, ends exclusive; (0, 0, 0, 0) when none is."""
    x, y, width, height = cv2.boundingRect(_binary(mask))
    return float(x), float(y), float(x + width), float(y + height)


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Return intersection over union of two masks [H, W]; 0 when both are empty, as in pycocotools.

    Raises:
        InputError: the masks differ in size.
    """
    first, second = _binary(a), _binary(b)
    if first.shape != second.shape:
        raise InputError(f"masks of one photo have one size, not {first.shape} and {second.shape}")
    both = cv2.countNonZero(cv2.bitwise_and(first, second))
    union = cv2.countNonZero(first) + cv2.countNonZero(second) - both
    return both / union if union else 0.0


def rle_iou(a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Return intersection over union of every mask of `a` with every mask of `b`.

    Returns:
        float64 [len(a), len(b)]; 0 where both masks are empty.

    Raises:
        InputError: damaged RLE, or masks of different sizes.
    """
    if not a or not b:
        return np.zeros((len(a), len(b)))
    rows, columns = [_checked(rle) for rle in a], [_checked(rle) for rle in b]
    sizes = {tuple(rle["size"]) for rle in rows + columns}
    if len(sizes) > 1:
        raise InputError(f"masks of one photo have one size, not {sorted(sizes)}")
    return np.asarray(coco_mask.iou(rows, columns, [0] * len(columns)), dtype=np.float64)


def coco_polygons_to_rle(segmentation: Sequence[Sequence[float]], height: int, width: int) -> dict[str, Any]:
    """Rasterise a COCO polygon segmentation as pycocotools does: the union of its rings.

    Args:
        segmentation: flat lists x0, y0, x1, y1, … of three points or more; none gives an empty mask.
        height: of the photo.
        width: of the photo.

    Raises:
        InputError: a ring has too few points, an odd number of values, or values that are no usable numbers.
    """
    rings = []
    for number, ring in enumerate(segmentation):
        try:
            values = np.asarray(ring, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"polygon {number}: expected a flat list of numbers x, y, x, y, …") from error
        if values.ndim != 1 or len(values) < 6 or len(values) % 2:
            raise InputError(
                f"polygon {number}: expected x, y of at least 3 points, not {values.size} values"
            )
        if not (np.abs(values) <= _FARTHEST_COORDINATE).all():  # also refuses NaN
            raise InputError(f"polygon {number}: a coordinate is not a number or lies far outside the photo")
        rings.append(values.tolist())
    if not rings:
        return mask_to_rle(np.zeros((height, width), dtype=bool))
    encoded = coco_mask.merge(coco_mask.frPyObjects(rings, height, width))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def mask_to_png(mask: np.ndarray) -> bytes:
    """Encode a mask as a 1-bit PNG, white where it is set."""
    buffer = io.BytesIO()
    # several times faster than the default level for a photo of common size, and hardly larger
    Image.fromarray(_binary(mask).view(bool)).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def png_to_mask(data: bytes) -> np.ndarray:
    """Decode a mask from a PNG.

    Set are the values that are not zero; with several channels, the pixels that are not black; and where some
    pixels are transparent, the ones that are mostly opaque, whatever their colour.

    Returns:
        bool [H, W].

    Raises:
        ImageError: not a readable image.
    """
    values = open_stored(data)
    if values.ndim == 2:
        return values != 0
    channels = values.shape[2]
    if channels in (2, 4):
        colours, alpha = values[..., :-1], values[..., -1]
        if alpha.min() < 255:
            return alpha >= 128
        values = colours
    return (values != 0).any(axis=2)


def mask_to_brush_rle(mask: np.ndarray) -> list[int]:
    """Encode a mask as the brush RLE of Label Studio: packed runs of RGBA bytes, 255 where it is set."""
    from label_studio_sdk.converter.brush import mask2rle

    return mask2rle(_binary(mask) * np.uint8(255))


def brush_rle_to_mask(rle: Sequence[int], height: int, width: int) -> np.ndarray:
    """Decode the brush RLE of Label Studio: a pixel is set where its alpha is at least half.

    Args:
        rle: the bytes as Label Studio stores them.
        height: `original_height` of the region.
        width: `original_width` of the region.

    Returns:
        bool [height, width].

    Raises:
        InputError: the bytes are damaged, or hold an image of another size.
    """
    from label_studio_sdk.converter.brush import decode_rle

    try:
        data = bytes(rle)
    except (TypeError, ValueError) as error:
        raise InputError("bad brush RLE: expected a list of bytes, 0 to 255") from error
    expected = height * width * 4
    # The first 32 bits are the number of values, so a damaged header cannot ask for a huge array.
    if len(data) < 4 or int.from_bytes(data[:4], "big") != expected:
        raise InputError(f"bad brush RLE: it does not hold {height} × {width} RGBA pixels")
    try:
        values = decode_rle(data)
    except (IndexError, ValueError) as error:
        raise InputError("bad brush RLE: the data is cut short or damaged") from error
    return values.reshape(height, width, 4)[..., 3] >= 128


def _binary(mask: np.ndarray) -> np.ndarray:
    """Return a mask as contiguous uint8 [H, W] of 0 and 1."""
    if mask.ndim != 2 or mask.size == 0:
        raise InputError(f"a mask has the shape [H, W] with at least one pixel, not {mask.shape}")
    return np.ascontiguousarray(mask, dtype=bool).view(np.uint8)


def _size(rle: Mapping[str, Any]) -> tuple[int, int]:
    """Return the (height, width) of RLE."""
    try:
        height, width = (int(side) for side in rle["size"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("bad RLE: 'size' must be [height, width]") from error
    if height <= 0 or width <= 0:
        raise InputError(
            f"bad RLE: 'size' must be [height, width] of at least one pixel, not {[height, width]}"
        )
    return height, width


def _checked(rle: Mapping[str, Any]) -> dict[str, Any]:
    """Return RLE as pycocotools takes it, checked: it reads foreign memory where the counts fall short."""
    runs = rle_counts(rle)
    counts, (height, width) = rle["counts"], _size(rle)
    if not isinstance(counts, (str, bytes)):
        return coco_mask.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width)
    return {"size": [height, width], "counts": counts}


def _unpacked(counts: bytes) -> np.ndarray:
    """Read the run lengths from the compressed string of COCO RLE.

    Each number is a chain of characters, lowest bits first: 5 bits of the number, then one that says whether
    more follow; the characters start at '0' (48). From the fourth on, numbers are differences to the run two
    before.
    """
    digits = np.frombuffer(counts, dtype=np.uint8).astype(np.int64) - 48
    last = np.flatnonzero((digits & 32) == 0)
    if not len(digits) or digits.min() < 0 or digits.max() > 63 or last[-1:].tolist() != [len(digits) - 1]:
        raise InputError("bad RLE: 'counts' is cut short or holds characters that do not belong there")
    first = np.concatenate([[0], last[:-1] + 1])
    lengths = last - first + 1
    if lengths.max() > 7:  # 35 bits; the numbers have 32
        raise InputError("bad RLE: 'counts' holds a number that is too large")
    shift = 5 * (np.arange(len(digits)) - np.repeat(first, lengths))
    runs = np.add.reduceat((digits & 31) << shift, first)
    runs -= ((digits[last] & 16) != 0) * (np.int64(1) << 5 * lengths)  # the highest bit is the sign
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs
