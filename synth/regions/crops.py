"""Training crops of photos with known regions: which photo, which part of it, and in what light."""

from __future__ import annotations

import cv2
import numpy as np

from models.data.photometric import jitter_colours
from synth.photos import open_regions, regions_file
from synth.regions.labels import OTHER, REGION_NAMES, UNKNOWN
from toolkit.errors import InputError
from toolkit.split import ImageRecord, Split

CLASSES = len(REGION_NAMES) - 1  # without "unknown"
# A pixel of value EXCEPT + c in a training map may be of any class but c.
EXCEPT = 128

# Photos with less of a class than this do not count as showing it.
_VISIBLE = 0.005
# Crops take between this share of a photo's area and all of it, in another aspect and turned a little.
_SMALLEST_SHARE = 0.18
_ASPECT = 0.25  # log
_TURN = 8.0  # degrees


class PhotoChooser:
    """Chooses photos so that rare classes are seen as well.

    Some choices take every photo once before any comes again; for the others a class is drawn, each as
    likely, and then one of the photos that show it.

    Args:
        split: photos, of which those with a map of regions are chosen.
        balanced: share of the choices that go by class.
        seed: of every choice.

    Attributes:
        records: the photos that have a map.
        shares: float64 [photos, 7], the share of a photo's pixels that each class has.
        only: for each photo the one region that was labelled in it, -1 where there were several.
    """

    def __init__(self, split: Split, balanced: float, seed: int) -> None:
        self.records: list[ImageRecord] = []
        shares = []
        for record in split:
            path = regions_file(split, record)
            if path is not None:
                regions = open_regions(path, record.height, record.width)
                self.records.append(record)
                shares.append(np.bincount(regions.ravel(), minlength=256)[:CLASSES] / regions.size)
        self.shares = np.array(shares, np.float64).reshape(-1, CLASSES)
        labelled = self.shares > 0
        single = (labelled.sum(axis=1) == 1) & ~labelled[:, OTHER]
        self.only = np.where(single, labelled.argmax(axis=1), -1)
        self._showing = [np.flatnonzero(self.shares[:, name] >= _VISIBLE) for name in range(CLASSES)]
        self._shown = [name for name in range(CLASSES) if len(self._showing[name])]
        self.balanced, self.seed = balanced, seed

    def choose(self, index: int, rng: np.random.Generator) -> tuple[int, int | None]:
        """The place in `records` of the `index`-th sample, and the class that it was chosen for, if any."""
        if self._shown and rng.random() < self.balanced:
            wanted = int(rng.choice(self._shown))
            return int(rng.choice(self._showing[wanted])), wanted
        epoch, place = divmod(index, len(self.records))
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.records))
        return int(order[place]), None


def class_weights(shares: np.ndarray) -> np.ndarray:
    """Weights float32 [7], by one over the square root of how often a class occurs, between 0.5 and 3.

    Args:
        shares: float64 [photos, 7], as `PhotoChooser` has them.
    """
    counts = shares.sum(axis=0)
    share = np.maximum(counts / max(counts.sum(), 1e-9), 1e-6)
    weights = 1.0 / np.sqrt(share)
    weights /= (weights * share).sum()
    return np.clip(weights, 0.5, 3.0).astype(np.float32)


def random_crop(
    image: np.ndarray, regions: np.ndarray, side: int, rng: np.random.Generator, wanted: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """A random part of a photo, turned a little, mirrored or not, scaled to a square.

    Args:
        image: uint8 [H, W, 3].
        regions: uint8 [H, W].
        side: of the square, pixels.
        rng: chooses.
        wanted: a class of which the part holds at least one pixel; None for any part.
    """
    height, width = regions.shape
    share = np.exp(rng.uniform(np.log(_SMALLEST_SHARE), 0.0))  # of the area
    aspect = np.exp(rng.uniform(-_ASPECT, _ASPECT))
    base = np.sqrt(share * height * width)
    h, w = min(base / aspect, height), min(base * aspect, width)
    top, left = rng.uniform(0, height - h), rng.uniform(0, width - w)
    where = np.flatnonzero(regions == wanted) if wanted is not None else ()
    if len(where):
        y, x = divmod(int(rng.choice(where)), width)
        top = min(max(rng.uniform(y + 1 - h, y), 0.0), height - h)
        left = min(max(rng.uniform(x + 1 - w, x), 0.0), width - w)
    # From pixels of the crop to pixels of the photo, about the centres of both.
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    angle = np.deg2rad(rng.uniform(-_TURN, _TURN))
    scale = np.array([[mirror * w / side, 0.0], [0.0, h / side]])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ scale
    centre = np.array([left + w / 2, top + h / 2]) - 0.5
    offset = centre - linear @ np.full(2, (side - 1) / 2)
    matrix = np.concatenate([linear, offset[:, None]], axis=1)  # [2, 3]
    # Warping samples points: blurred by as much as it shrinks, it does not alias.
    shrink = min(w, h) / side
    if shrink > 1.2:
        image = cv2.GaussianBlur(image, (0, 0), 0.4 * shrink)
    flags = cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(
        image, matrix, (side, side), flags=flags | cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    labels = cv2.warpAffine(
        regions, matrix, (side, side), flags=flags | cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101
    )
    return crop, labels


def training_sample(
    split: Split, chooser: PhotoChooser, side: int, index: int
) -> tuple[np.ndarray, np.ndarray]:
    """The `index`-th sample: a crop uint8 [S, S, 3] and its classes uint8 [S, S].

    Where one region alone was labelled (the water of a flood, say), the unlabelled pixels are taken to be
    something else: else nothing would speak against that region in photos of such a kind.
    """
    rng = np.random.default_rng([chooser.seed, index, 1])
    place, wanted = chooser.choose(index, rng)
    record, only = chooser.records[place], chooser.only[place]
    path = regions_file(split, record)
    if path is None:
        raise InputError(f"{record.file_name}: its map of regions is gone")
    image = split.open_image(record)
    regions = open_regions(path, record.height, record.width)
    if only >= 0:
        regions[regions == UNKNOWN] = EXCEPT + only
    crop, labels = random_crop(image, regions, side, rng, wanted)
    return jitter_colours(crop, rng), labels
