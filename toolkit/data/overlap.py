"""Which photos of a split another data set nearly holds: scores on those say little of new photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from toolkit.data.progress import track
from toolkit.errors import InputError
from toolkit.image import IMAGE_SUFFIXES, open_image
from toolkit.split import Split

# Thumbnails correlate at 1.00 for copies, whatever their size and compression, and at 0.95 to 0.99 for takes
# of one scene with things moved or pasted in; strangers stay below 0.9, but for plain things before plain
# walls.
LEAST = 0.95
_SIDE = 24  # pixels of the thumbnails


@dataclass(frozen=True)
class NearCopy:
    """A photo that another data set nearly holds: its place among those asked for, the other, how alike."""

    place: int
    other: Path
    similarity: float


def signature(image: np.ndarray) -> np.ndarray:
    """Return a thumbnail whose products with others are correlations.

    Args:
        image: uint8 [H, W, 3].

    Returns:
        float32 [24 · 24 · 3], each channel without its mean, of length 1; zeros where the image is uniform.
    """
    small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= small.mean((0, 1))
    length = float(np.linalg.norm(small))
    return (small / length if length > 1e-3 else np.zeros_like(small)).ravel()


def near_copies(
    photos: Sequence[Path], other: Path, least: float = LEAST, faults: list[tuple[Path, str]] | None = None
) -> list[NearCopy]:
    """Find the photos that a folder of photos holds as well, or nearly.

    Args:
        photos: what is looked for.
        other: a split's folder, or any folder of images, whose own folders are searched too.
        least: the least correlation of two thumbnails, up to 1.
        faults: takes what could not be opened, and why.

    Returns:
        The best match of each photo that has one, in their order.

    Raises:
        InputError: `other` holds no image.
    """
    own, own_places = _signatures(photos, "reading photos", faults)
    others = images_below(other)
    known, known_places = _signatures(others, f"reading {other.name}", faults)
    if not len(known):
        raise InputError(f"{other}: expected a folder with images ({', '.join(IMAGE_SUFFIXES)}), found none")
    alike = own @ known.T  # [N, M]
    best = alike.argmax(axis=1)
    return [
        NearCopy(place, others[known_places[best[row]]], float(alike[row, best[row]]))
        for row, place in enumerate(own_places)
        if alike[row, best[row]] >= least
    ]


def without_near_copies(split: Split, other: Path, least: float = LEAST) -> tuple[Split, list[NearCopy]]:
    """Return the split without the photos that a folder of photos nearly holds, and what was left out.

    Raises:
        InputError: `other` holds no image, or nothing is left.
    """
    copies = near_copies([split.image_path(record) for record in split], other, least)
    held = {copy.place for copy in copies}
    kept = [place for place in range(len(split)) if place not in held]
    if not kept:
        raise InputError(f"{split.root}: every photo is nearly the same as one of {other}; nothing is left")
    return split.subset(kept), copies


def overlap_rows(names: Sequence[str], copies: Sequence[NearCopy]) -> list[dict[str, Any]]:
    """Name what was found, for a report: photo, other, similarity.

    Args:
        names: of the photos that were looked for.
        copies: what `near_copies` found.
    """
    return [
        {
            "photo": names[copy.place],
            "other": str(copy.other),
            "similarity": round(copy.similarity, 4),
        }
        for copy in copies
    ]


def images_below(folder: Path) -> list[Path]:
    """The images in a folder and all folders in it; where it has a folder ``images``, only those in that.

    Args:
        folder: of photos, a split's, or a split's JSON file.
    """
    if folder.is_file():  # a split's JSON file
        folder = folder.parent
    if (folder / "images").is_dir():
        folder = folder / "images"
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)


def _signatures(
    paths: Sequence[Path], task: str, faults: list[tuple[Path, str]] | None
) -> tuple[np.ndarray, list[int]]:
    """The signatures [N, D] of the images that can be opened, and their places among the paths."""
    found, places = [], []
    for place, path in enumerate(track(paths, task)):
        try:
            found.append(signature(open_image(path)))
            places.append(place)
        except InputError as error:
            if faults is not None:
                faults.append((path, str(error)))
    return np.array(found, np.float32).reshape(len(found), _SIDE * _SIDE * 3), places
