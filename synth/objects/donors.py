"""Cut-outs of donors, each cut once and kept on disk, where all workers find it."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.recently_used import RecentlyUsed
from synth.objects.filters import mask_fault
from synth.settings import ObjectSettings
from toolkit.blending import PlacedMask
from toolkit.cutouts import Cutout, cut_out
from toolkit.errors import InputError
from toolkit.files import write_text_atomic
from toolkit.image import open_image
from toolkit.split import Annotation, ImageRecord, Split

MARGIN = 2  # pixels around the object, room for a soft edge
_KEPT_PHOTOS, _KEPT_SIZE = 64, 1_000_000  # photos and bytes of each: 64 MB at most, by worker
_SIZE = struct.Struct("<II")


@dataclass(frozen=True)
class Donor:
    """An object to copy, and where it comes from.

    Attributes:
        cutout: its pixels.
        category_id: of the split it comes from.
        split: ``photos`` (the photo's own object) or ``donors``.
        image: file name of its photo.
        annotation: its id there.
        license: of its photo.
        group: the group its original belongs to, for the photo's own objects.
        row: row of the original's middle, for the photo's own objects.
    """

    cutout: Cutout
    category_id: int
    split: str
    image: str
    annotation: int
    license: str | None = None
    group: int | None = None
    row: int | None = None


class DonorFault(Exception):
    """An object that can't be copied: what it is called, and why.

    Attributes:
        item: name of the object in reports.
        reason: why not.
        broken: whether its data is bad, rather than the object unsuitable.
    """

    def __init__(self, item: str, reason: str, broken: bool = False) -> None:
        super().__init__(f"{item}: {reason}")
        self.item, self.reason, self.broken = item, reason, broken


class DonorBank:
    """Opens donors of one split.

    Args:
        split: where they come from.
        settings: what disqualifies them.
        feather: half the width of the soft boundary, pixels.
        cache: folder for cut-outs; None keeps none.
    """

    def __init__(
        self, split: Split, settings: ObjectSettings, feather: float, cache: Path | None = None
    ) -> None:
        self.split, self.settings, self.feather, self.cache = split, settings, feather, cache
        self._photos: RecentlyUsed[int, np.ndarray] = RecentlyUsed(_KEPT_PHOTOS)

    def open(self, place: int) -> Donor:
        """Cut out the donor at a place of the split's `annotations`, or fetch it from the cache.

        Raises:
            DonorFault: it is unsuitable or broken.
        """
        annotation = self.split.annotations[place]
        record = self.split.image(annotation.image_id)
        name = f"{record.file_name} annotation {annotation.id}"
        path = None if self.cache is None else self.cache / f"{place:08d}.cut"
        cutout = _read(path)
        if cutout is None:
            fault = None if path is None else _read_fault(path)
            if fault is not None:
                raise DonorFault(name, fault[0], broken=fault[1])
            try:
                cutout = self._cut(annotation, record, name)
            except DonorFault as error:
                if path is not None:
                    _write_fault(path, error.reason, error.broken)
                raise
            if path is not None:
                _write(path, cutout)
        return Donor(
            cutout=cutout,
            category_id=annotation.category_id,
            split="donors",
            image=record.file_name,
            annotation=annotation.id,
            license=licence_name(self.split, record),
        )

    def _cut(self, annotation: Annotation, record: ImageRecord, name: str) -> Cutout:
        try:
            mask = annotation.mask(record.height, record.width)
        except InputError as error:
            raise DonorFault(name, str(error), broken=True) from error
        placed = PlacedMask.from_full(mask)
        fault = mask_fault(placed, self._neighbours(annotation, record, placed), self.settings)
        if fault is not None:
            raise DonorFault(name, fault)
        try:
            image = self._photo(record)
            if image.shape[:2] != (record.height, record.width):
                raise InputError(
                    f"the file is {image.shape[1]}×{image.shape[0]}, "
                    f"the record says {record.width}×{record.height}"
                )
            return cut_out(image, mask, self.feather, MARGIN)
        except InputError as error:
            raise DonorFault(name, str(error), broken=True) from error

    def _photo(self, record: ImageRecord) -> np.ndarray:
        """A donor's photo; the last small ones are kept, as a photo often gives several donors."""
        image = self._photos.get(record.id)
        if image is None:
            image = open_image(self.split.image_path(record))
            if image.size <= _KEPT_SIZE:
                self._photos.keep(record.id, image)
        return image

    def _neighbours(
        self, annotation: Annotation, record: ImageRecord, placed: PlacedMask
    ) -> list[PlacedMask]:
        """Masks of the other objects whose boxes come near."""
        places = self.split.annotation_indices_of(record.id)
        box = self.split.annotation_columns.bbox[places]
        reach = 3  # pixels, one more than the outline is wide
        height, width = placed.mask.shape
        near = (
            (box[:, 0] < placed.left + width + reach)
            & (box[:, 0] + box[:, 2] > placed.left - reach)
            & (box[:, 1] < placed.top + height + reach)
            & (box[:, 1] + box[:, 3] > placed.top - reach)
        )
        found = []
        for place in places[near]:
            other = self.split.annotations[int(place)]
            if other.id == annotation.id:
                continue
            try:
                found.append(PlacedMask.from_full(other.mask(record.height, record.width)))
            except InputError:  # reported when it is its own turn; it can't hide anything
                continue
        return found


def licence_name(split: Split, record: ImageRecord) -> str | None:
    """The licence of an image in words, whether its record gives words or an id of the split's list."""
    for licence in split.licenses:
        if licence.get("id") == record.license and not isinstance(record.license, str):
            return str(licence.get("name") or licence.get("url") or record.license)
    return None if record.license is None else str(record.license)


def _write(path: Path, cutout: Cutout) -> None:
    """Keep a cut-out: its height and width, colours, alpha, mask, not compressed, as that is read fastest."""
    layers = (cutout.image, cutout.alpha, cutout.mask)
    data = _SIZE.pack(*cutout.mask.shape) + b"".join(np.ascontiguousarray(one).tobytes() for one in layers)
    # As write_bytes_atomic, without its care for links and missing folders, which takes as long as the rest.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
    except FileNotFoundError:  # the first one
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
    os.replace(temporary, path)


def _read(path: Path | None) -> Cutout | None:
    if path is None:
        return None
    try:
        data = path.read_bytes()
    except OSError:  # not cut yet
        return None
    height, width = _SIZE.unpack_from(data)
    area = height * width
    layers = np.frombuffer(data, np.uint8, offset=_SIZE.size)
    image, alpha, mask = layers[: 3 * area], layers[3 * area : 4 * area], layers[4 * area :]
    return Cutout(
        image.reshape(height, width, 3), alpha.reshape(height, width), mask.reshape(height, width).view(bool)
    )


def _write_fault(path: Path, reason: str, broken: bool) -> None:
    write_text_atomic(path.with_suffix(".txt"), f"{int(broken)}{reason}")


def _read_fault(path: Path) -> tuple[str, bool] | None:
    note = path.with_suffix(".txt")
    if not note.exists():
        return None
    text = note.read_text(encoding="utf-8")
    return text[1:], text[:1] == "1"
