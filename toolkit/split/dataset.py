"""A split in memory: images, their annotations, and where the files are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np

from toolkit import image as images_io
from toolkit.errors import InputError
from toolkit.split.columns import AnnotationColumns, ImageColumns, annotation_columns, image_columns, take
from toolkit.split.paths import find_below
from toolkit.split.records import Annotation, ImageRecord

CARD = "card.yaml"

T = TypeVar("T")


def read_card(root: Path) -> dict[str, Any]:
    """Return what the `card.yaml` of a split folder says; {} where there is none.

    Raises:
        InputError: It is not valid YAML.
    """
    import yaml

    path = root / CARD
    if not path.is_file():
        return {}
    try:
        card = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML ({error}); mend it or remove it") from error
    return card if isinstance(card, dict) else {}


class _Chosen(Sequence[T]):
    """Some records of a longer sequence, looked up when asked for."""

    def __init__(self, records: Sequence[T], indices: np.ndarray):
        self._records, self._indices = records, indices

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self._records[int(i)] for i in self._indices[index]]
        return self._records[int(self._indices[index])]


class Split:
    """A set of annotated images. Iterating gives its image records; `len` counts them.

    Attributes:
        root: The split folder.
        images_dir: The folder that file names are relative to.
        images: The image records, decoded when asked for.
        annotations: All annotations in the order of the file, decoded when asked for.
        image_columns: The numbers of all images as arrays.
        annotation_columns: The numbers of all annotations as arrays.
        categories: The category records as on file: `id`, `name` and whatever else they hold.
        info: The `info` object of the file.
        licenses: The `licenses` list of the file.
    """

    def __init__(
        self,
        root: Path,
        images: Sequence[ImageRecord],
        annotations: Sequence[Annotation],
        *,
        categories: Sequence[Mapping[str, Any]] = (),
        images_dir: Path | None = None,
        info: Mapping[str, Any] | None = None,
        licenses: Sequence[Mapping[str, Any]] = (),
        columns: tuple[ImageColumns, AnnotationColumns] | None = None,
    ):
        self.root = root
        self.images_dir = root / "images" if images_dir is None else images_dir
        self.images, self.annotations = images, annotations
        self.categories, self.info, self.licenses = list(categories), dict(info or {}), list(licenses)
        if columns is None:
            columns = image_columns(images), annotation_columns(annotations)
        self.image_columns, self.annotation_columns = columns
        # Annotations sorted by image, in file order within each: annotations_of is a look-up in two arrays.
        image_ids = self.annotation_columns.image_id
        self._by_image = np.argsort(image_ids, kind="stable")
        self._sorted_image_ids = image_ids[self._by_image]

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[ImageRecord]:
        return iter(self.images)

    def __repr__(self) -> str:
        return f"Split({str(self.root)!r}: {len(self.images)} images, {len(self.annotations)} annotations)"

    def subset(self, indices: Sequence[int] | np.ndarray) -> Split:
        """Return the split of some of the images, by their place in `images`, with their annotations."""
        chosen = np.asarray(indices, np.int64)
        columns_of_images = take(self.image_columns, chosen)
        kept = np.flatnonzero(np.isin(self.annotation_columns.image_id, columns_of_images.id))
        return Split(
            self.root,
            _Chosen(self.images, chosen),
            _Chosen(self.annotations, kept),
            categories=self.categories,
            images_dir=self.images_dir,
            info=self.info,
            licenses=self.licenses,
            columns=(columns_of_images, take(self.annotation_columns, kept)),
        )

    @cached_property
    def card(self) -> dict[str, Any]:
        """What `card.yaml` says: what made the split, from what, with which seed; {} where there is none."""
        return read_card(self.root)

    @cached_property
    def category_names(self) -> dict[int, str]:
        """The name of every category by its id."""
        return {category["id"]: str(category.get("name", category["id"])) for category in self.categories}

    @cached_property
    def _image_index(self) -> dict[int, int]:
        return {image_id: index for index, image_id in enumerate(self.image_columns.id.tolist())}

    def image(self, image_id: int) -> ImageRecord:
        """Return the image record with this id.

        Raises:
            InputError: There is none.
        """
        index = self._image_index.get(image_id)
        if index is None:
            raise InputError(f"{self.root}: there is no image with id {image_id}")
        return self.images[index]

    def annotation_indices_of(self, image_id: int) -> np.ndarray:
        """Return the places of an image's annotations in `annotations` and its columns, int64 [n]."""
        first, last = np.searchsorted(self._sorted_image_ids, [image_id, image_id + 1])
        return self._by_image[first:last]

    def annotations_of(self, image_id: int) -> list[Annotation]:
        """Return the annotations of an image in the order of the file; [] where it has none."""
        return [self.annotations[int(index)] for index in self.annotation_indices_of(image_id)]

    def image_path(self, record: ImageRecord) -> Path:
        """Return where the image's file is, or should be.

        Raises:
            InputError: The file name leads out of the image folder.
        """
        return find_below(self.images_dir, record.file_name)

    def regions_path(self, record: ImageRecord) -> Path | None:
        """Return where the image's index PNG of semantic regions is; None where the record names none.

        Raises:
            InputError: The file name leads out of the image folder.
        """
        return None if record.regions is None else find_below(self.images_dir, record.regions)

    def open_image(self, record: ImageRecord) -> np.ndarray:
        """Return the photo as uint8 [H, W, 3] RGB with its EXIF orientation applied.

        Raises:
            InputError: The file is missing or no readable image.
        """
        return images_io.open_image(self.image_path(record))
