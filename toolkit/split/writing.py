"""Write a split folder, image by image; its `annotations.json` and `card.yaml` appear whole, at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import msgspec
import numpy as np

from toolkit import image as images_io
from toolkit import masks
from toolkit.errors import InputError
from toolkit.files import atomic_path, write_text_atomic
from toolkit.split.dataset import CARD
from toolkit.split.paths import check_relative
from toolkit.split.placing import place_image
from toolkit.split.reading import ANNOTATIONS_FILE
from toolkit.split.records import (
    NEW_ID,
    Annotation,
    ImageRecord,
    annotation_from_json,
    annotation_to_json,
    image_to_json,
    segmentation_to_rle,
)

ImageSource = np.ndarray | bytes | str | os.PathLike[str]


class SplitWriter:
    """Writes a split folder. Use it as a context manager, or call `close`.

    Images are copied at once; records go to unnamed temporary files, so that memory stays small however large
    the split. `annotations.json` is put in place by `close`, and not at all when the block raises: a folder
    with an `annotations.json` is always a finished split. Run again after a kill, images already there are
    left as they are.

    Args:
        root: The split folder; made where missing.
        categories: Category records with `id` and `name`; more can come through `add_category`.
        info: The `info` object of the file.
        licenses: The `licenses` list, which image records may name by id.
        card: What to say in `card.yaml` (what made the split, from what, seed); counts are added.
        overwrite: Whether a finished split in the folder may be replaced. Its images are not removed.
        link: Whether to link images instead of copying them, where the file system can.

    Raises:
        InputError: The folder holds a finished split already, or cannot be written to.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        categories: Iterable[Mapping[str, Any]] = (),
        info: Mapping[str, Any] | None = None,
        licenses: Iterable[Mapping[str, Any]] = (),
        card: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        link: bool = False,
    ):
        self.root = Path(root)
        self.images_dir = self.root / "images"
        if (self.root / ANNOTATIONS_FILE).exists() and not overwrite:
            raise InputError(
                f"{self.root}: holds a finished split already; choose another folder or remove it"
            )
        try:
            self.images_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"{self.root}: cannot make this folder ({error.strerror}); choose another place"
            raise InputError(message) from error
        self.card = dict(card or {})
        self._info, self._licenses, self._link = dict(info or {}), list(licenses), link
        self._categories: list[dict[str, Any]] = [dict(category) for category in categories]
        self._images = _RecordFile(self.root, "image")
        self._annotations = _RecordFile(self.root, "annotation")
        self._file_names: set[str] = set()
        self._image_licenses: Counter[Any] = Counter()
        self._sources: Counter[str] = Counter()
        self._groups = self._crowds = 0

    def __enter__(self) -> SplitWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    @property
    def categories(self) -> list[dict[str, Any]]:
        """The category records so far."""
        return self._categories

    def add_category(self, name: str, **fields: Any) -> int:
        """Return the id of the category with this name, adding it where it is new."""
        for category in self._categories:
            if category.get("name") == name:
                return category["id"]
        category_id = max((category["id"] for category in self._categories), default=0) + 1
        self._categories.append({"id": category_id, "name": name, **fields})
        return category_id

    def add_image(
        self,
        image: ImageSource,
        annotations: Iterable[Annotation | Mapping[str, Any]] = (),
        *,
        id: int = NEW_ID,  # noqa: A002 - the name of the field
        file_name: str | None = None,
        width: int | None = None,
        height: int | None = None,
        license: int | str | None = None,  # noqa: A002 - the name of the field
        source: str | None = None,
        regions: np.ndarray | str | os.PathLike[str] | None = None,
        **fields: Any,
    ) -> ImageRecord:
        """Add an image and its annotations.

        Args:
            image: The path or the bytes of an image file, copied byte by byte; or an array, encoded by the
                suffix of `file_name`.
            annotations: `Annotation`s or COCO JSON objects. A `NEW_ID` is replaced by the next free one;
                `bbox` and `area` are computed where they are None.
            id: The image's id; by default the next free one.
            file_name: Path below `images/`; by default the name of the file, or `<id>.jpg`.
            width: Pixels; by default read from the file, EXIF orientation applied.
            height: Pixels; by default read from the file, EXIF orientation applied.
            license: An id of `licenses`, or the licence in words.
            source: Where the image comes from.
            regions: Index map of semantic regions uint8 [H, W], or the path of its PNG.
            fields: Other fields of the image record, kept as they are.

        Returns:
            The record as written.

        Raises:
            InputError: An id or a file name is taken, the image is unreadable, or a mask does not fit it.
        """
        if width is None or height is None:
            height, width = images_io.image_size(image)
        name = file_name or (Path(image).name if isinstance(image, str | os.PathLike) else "")
        record = ImageRecord(id, name, width, height, license, source, extra=fields)
        return self.add_record(record, image, annotations, regions)

    def add_record(
        self,
        record: ImageRecord,
        image: ImageSource,
        annotations: Iterable[Annotation | Mapping[str, Any]] = (),
        regions: np.ndarray | str | os.PathLike[str] | None = None,
    ) -> ImageRecord:
        """Add an image with the record it has elsewhere: its id, name and all fields.

        Args:
            record: The record; a `NEW_ID` is replaced by the next free id, `regions` by where the map is put.
            image: As for `add_image`.
            annotations: As for `add_image`.
            regions: As for `add_image`; without it the record names no regions.

        Raises:
            InputError: As from `add_image`.
        """
        image_id = self._images.claim(record.id)
        name = check_relative(record.file_name or f"{image_id:06d}.jpg")
        if name in self._file_names:
            raise InputError(f"{self.root}: two images are named {name}; give each a file_name of its own")
        record = replace(record, id=image_id, file_name=name, regions=None)
        completed = [self._complete(annotation, record) for annotation in annotations]
        self._place(image, name)
        if regions is not None:
            record = replace(record, regions=self._place_regions(regions, name))
        self._file_names.add(name)
        self._images.write(image_to_json(record))
        for annotation in completed:
            self._annotations.write(annotation_to_json(annotation))
        self._crowds += sum(bool(annotation.iscrowd) for annotation in completed)
        self._groups += len({annotation.group_id for annotation in completed} - {None})
        self._image_licenses[record.license] += 1
        self._sources[record.source or "unknown"] += 1
        return record

    def close(self) -> Path:
        """Put `annotations.json` and `card.yaml` in place and return the split folder."""
        import yaml

        counts = {
            "images": self._images.count,
            "annotations": self._annotations.count,
            "crowds": self._crowds,
            "groups": self._groups,
            "categories": len(self._categories),
        }
        card = {**self.card, "counts": counts, "licences": self._licences(), "sources": dict(self._sources)}
        card = msgspec.json.decode(msgspec.json.encode(card, enc_hook=_plain))
        write_text_atomic(self.root / CARD, yaml.safe_dump(card, sort_keys=False, allow_unicode=True))
        with atomic_path(self.root / ANNOTATIONS_FILE) as temporary, temporary.open("wb") as file:
            file.write(b'{"info":' + msgspec.json.encode(self._info))
            file.write(b',\n"licenses":' + msgspec.json.encode(self._licenses))
            file.write(b',\n"categories":' + msgspec.json.encode(self._categories))
            file.write(b',\n"images":[')
            self._images.copy_to(file)
            file.write(b'],\n"annotations":[')
            self._annotations.copy_to(file)
            file.write(b"]}\n")
        return self.root

    def abort(self) -> None:
        """Give up: `annotations.json` is not written; images already copied stay for the next run."""
        self._images.drop()
        self._annotations.drop()

    def _complete(self, annotation: Annotation | Mapping[str, Any], record: ImageRecord) -> Annotation:
        """Fill in the ids, text counts, the box and the area."""
        if not isinstance(annotation, Annotation):
            annotation = annotation_from_json(dict(annotation))
        segmentation = annotation.segmentation
        if isinstance(segmentation, Mapping) and isinstance(segmentation.get("counts"), bytes):
            segmentation = {**segmentation, "counts": segmentation["counts"].decode("ascii")}
        bbox, area = annotation.bbox, annotation.area
        if bbox is None or area is None:
            try:
                rle = segmentation_to_rle(segmentation, record.height, record.width)
            except InputError as error:
                raise InputError(f"{record.file_name}: annotation {annotation.id}: {error}") from error
            bbox = masks.rle_box(rle) if bbox is None else bbox
            area = masks.rle_area(rle) if area is None else area
        return replace(
            annotation,
            id=self._annotations.claim(annotation.id),
            image_id=record.id,
            segmentation=segmentation,
            bbox=bbox,
            area=area,
        )

    def _place(self, image: ImageSource, name: str) -> None:
        """Put the image file at `images/<name>`; one that is there already, byte for byte, is left alone."""
        target = self.images_dir / name
        if isinstance(image, np.ndarray):
            images_io.save_image(target, image)
            return
        if isinstance(image, bytes):
            with atomic_path(target) as temporary:
                temporary.write_bytes(image)
            return
        place_image(Path(image), target, link=self._link)

    def _place_regions(self, regions: np.ndarray | str | os.PathLike[str], name: str) -> str:
        regions_name = str(Path(name).with_suffix(".regions.png").as_posix())
        if isinstance(regions, np.ndarray):
            images_io.save_image(self.images_dir / regions_name, regions.astype(np.uint8))
        else:
            self._place(regions, regions_name)
        return regions_name

    def _licences(self) -> dict[str, int]:
        names = {
            licence.get("id"): str(licence.get("name") or licence.get("url") or licence.get("id"))
            for licence in self._licenses
        }
        counts: Counter[str] = Counter()
        for licence, count in self._image_licenses.items():
            counts["unknown" if licence is None else names.get(licence, str(licence))] += count
        return dict(counts)


class _RecordFile:
    """JSON records in an unnamed temporary file, separated by commas, and the ids they have taken."""

    def __init__(self, folder: Path, kind: str):
        self.kind, self.count = kind, 0
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `drop`
        self._ids: set[int] = set()
        self._next = 1

    def claim(self, wanted: int) -> int:
        """Return `wanted`, or the next free id where it is `NEW_ID`."""
        if wanted == NEW_ID:
            while self._next in self._ids:
                self._next += 1
            wanted = self._next
        elif wanted in self._ids:
            raise InputError(f"two {self.kind}s have the id {wanted}; give each an id of its own")
        self._ids.add(wanted)
        return wanted

    def write(self, record: Mapping[str, Any]) -> None:
        try:
            text = msgspec.json.encode(record, enc_hook=_plain)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{self.kind} {record['id']}: cannot be written as JSON ({error})") from error
        self._file.write((b",\n" if self.count else b"\n") + text)
        self.count += 1

    def copy_to(self, target: IO[bytes]) -> None:
        self._file.seek(0)
        shutil.copyfileobj(self._file, target, 1 << 20)
        self.drop()

    def drop(self) -> None:
        self._file.close()


def _plain(value: Any) -> Any:
    """Turn NumPy numbers and arrays, paths and read-only mappings into what JSON has."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"cannot write a {type(value).__name__} as JSON")
