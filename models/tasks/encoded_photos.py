"""Photos of a validation split as the frozen 1C-DSN sees them, for the validation of CPN and PVM."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from torch import Tensor

from models.data.group_samples import COVERAGE_STRIDE, GroupObject
from models.encoding import network_input
from models.one_click import OneClickModel
from models.one_click.finder import EncodedImage, ObjectFinder
from models.tasks.frozen import mask_and_box, predicted
from models.tasks.validation import photos_with_objects
from toolkit.clicks import center_click
from toolkit.split import Annotation, ImageRecord, Split

WORKING_SIZE = 512  # longer side, pixels


@dataclass(frozen=True)
class EncodedObject:
    """An object of a photo.

    Attributes:
        group: Siblings share one.
        mask: float ``[H / 4, W / 4]``, 0–1: as predicted after a click in its centre, or the true one where
            that shows something else.
        box: float ``[4]``, pixels.
        truth: bool ``[H / 4, W / 4]``, its true mask.
    """

    group: int
    mask: Tensor
    box: Tensor
    truth: np.ndarray


@dataclass(frozen=True)
class EncodedPhoto:
    """A photo: pixels uint8 ``[3, H, W]``, objects; pyramid, C3 and C4, ``[C, H / stride, W / stride]``."""

    image: Tensor
    pyramid: list[Tensor]
    objects: list[EncodedObject]
    stages: list[Tensor]


def encode_photos(
    frozen: OneClickModel,
    split: Path,
    photos: int,
    objects: int,
    fits: Callable[[list[int]], bool],
) -> Iterator[EncodedPhoto]:
    """Encode photos of a split, one after the other.

    Args:
        frozen: The 1C-DSN.
        split: Folder of the split.
        photos: So many, evenly spread over those that fit.
        objects: Of a photo, at most; evenly spread over its objects.
        fits: Whether a photo with such groups is wanted.

    Raises:
        InputError: There is no such split, or it holds no object.
    """
    data, records = photos_with_objects(split)
    wanted = [r for r in records if fits([_group(a) for a in _grouped(data, r, objects)])]
    for index in np.unique(np.linspace(0, len(wanted) - 1, min(photos, len(wanted))).round().astype(int)):
        yield _encode(frozen, data, wanted[index], objects)


def _grouped(data: Split, record: ImageRecord, most: int) -> list[Annotation]:
    own = [a for a in data.annotations_of(record.id) if not a.iscrowd and a.group_id is not None]
    if len(own) > most:
        own = [own[i] for i in np.linspace(0, len(own) - 1, most).round().astype(int)]
    return own


def _group(annotation: Annotation) -> int:
    return -1 if annotation.group_id is None else annotation.group_id


def _encode(frozen: OneClickModel, data: Split, record: ImageRecord, most: int) -> EncodedPhoto:
    photo = data.open_image(record)
    scale = WORKING_SIZE / max(photo.shape[:2])
    image, _, _ = network_input(photo, scale, frozen.config.image_mean)
    encoded = ObjectFinder(frozen).encode_batch(image[None].to(frozen.device))[0]
    truths = [_truth(a, m, scale, encoded) for a, m in _masks(data, record, most)]
    found = predicted(frozen, encoded, [truth.click for truth in truths])
    objects = []
    for item, truth in zip(found, truths, strict=True):
        pair = mask_and_box(item, truth, encoded)
        if pair is not None:
            objects.append(EncodedObject(truth.group, pair[0].cpu(), pair[1].cpu(), truth.coverage > 127))
    pyramid, stages = ([one.cpu() for one in maps] for maps in (encoded.pyramid, encoded.stages))
    return EncodedPhoto(image, pyramid, objects, stages)


def _masks(data: Split, record: ImageRecord, most: int) -> Iterator[tuple[Annotation, np.ndarray]]:
    for annotation in _grouped(data, record, most):
        mask = annotation.mask(record.height, record.width)
        if mask.any():
            yield annotation, mask


def _truth(annotation: Annotation, mask: np.ndarray, scale: float, encoded: EncodedImage) -> GroupObject:
    """An object of a photo (mask bool ``[H, W]``) in the encoded copy, clicked in its centre."""
    height, width = encoded.mask_features.shape[-2:]
    cells = scale / COVERAGE_STRIDE  # per pixel of the photo
    size = (max(round(mask.shape[1] * cells), 1), max(round(mask.shape[0] * cells), 1))
    small = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)
    coverage = np.zeros((height, width), np.uint8)
    coverage[: size[1], : size[0]] = small[:height, :width]
    click = center_click(mask)
    point = (click.x * scale, click.y * scale)
    return GroupObject(_group(annotation), point, point, 0.0, coverage)
