"""Index PNGs in the layout of Pascal VOC: `JPEGImages/`, `SegmentationClass/`, `SegmentationObject/`.

Both PNGs have a palette; 0 is background, 255 void. `labelmap.txt` names the classes, one line
`name:r,g,b::` each in the order of their indices, as CVAT writes it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import masks
from toolkit.data.copying import records_with_files, start_folder
from toolkit.data.losses import Losses
from toolkit.data.progress import track
from toolkit.errors import InputError
from toolkit.files import atomic_path, write_text_atomic
from toolkit.image import image_size, open_index
from toolkit.report import Report
from toolkit.split import Annotation, ImageRecord, Split
from toolkit.split.paths import unique_name
from toolkit.split.placing import place_image

MARKER = "labelmap.txt"
IMAGES, CLASSES, OBJECTS = "JPEGImages", "SegmentationClass", "SegmentationObject"
VOID = 255
LARGEST = VOID - 1
_LABEL = re.compile(r"(.*):[\d, ]*:[^:]*:[^:]*$")


def write_index_png(split: Split, out: Path, report: Report, *, link: bool = False) -> None:
    """Write photos, index PNGs, `ImageSets/Segmentation/default.txt` and `labelmap.txt`.

    A pixel holds one object: larger objects are painted first, and what others cover is listed. Crowds become
    void. More than 254 objects in an image, or categories beyond the 254th, do not fit and are listed.

    Args:
        split: What to write.
        out: The folder; made where missing.
        report: Where everything is listed that the format cannot hold.
        link: Whether to link images instead of copying them.

    Raises:
        InputError: The folder holds a finished data set.
    """
    start_folder(out, MARKER)
    losses = Losses(report, "index PNG")
    class_of = {category["id"]: index for index, category in enumerate(split.categories[:LARGEST], start=1)}
    taken: set[str] = set()
    stems = []
    for record, path in records_with_files(split, report, "writing index PNGs"):
        name = unique_name(record.file_name, taken, by_stem=True)
        if name != record.file_name:
            report.add_skipped(record.file_name, f"its PNG would clash with another: renamed to {name}")
        losses.fields_of_image(record)
        objects, classes = paint(record, split.annotations_of(record.id), class_of, losses)
        place_image(path, out / IMAGES / name, link=link)
        save_palette_png(out / OBJECTS / name, objects)
        save_palette_png(out / CLASSES / name, classes)
        stems.append(Path(name).with_suffix("").as_posix())
    losses.finish()
    write_text_atomic(
        out / "ImageSets" / "Segmentation" / "default.txt", "".join(f"{stem}\n" for stem in stems)
    )
    colours = voc_palette()
    names = ["background", *(" ".join(name.split()) for name in split.category_names.values())][: LARGEST + 1]
    lines = [f"{name or f'class {i}'}:{','.join(map(str, colours[i]))}::\n" for i, name in enumerate(names)]
    write_text_atomic(out / MARKER, "".join(lines))


def paint(
    record: ImageRecord, annotations: Sequence[Annotation], class_of: dict[int, int], losses: Losses
) -> tuple[np.ndarray, np.ndarray]:
    """Paint the annotations of one image into index maps.

    Args:
        record: The image.
        annotations: Its annotations; the index of an object is its place among those that fit, from 1.
        class_of: The class index of every category id that fits.
        losses: Where what does not fit is listed.

    Returns:
        Object indices and class indices, uint8 [H, W] each.
    """
    kept: list[tuple[Annotation, dict[str, Any], int]] = []  # annotation, its mask as RLE, pixels of the mask
    crowds = []
    for annotation in annotations:
        try:
            rle = annotation.rle(record.height, record.width)
            area = masks.rle_area(rle)
        except InputError as error:
            losses.of(record, annotation, f"left out: {error}")
            continue
        if annotation.iscrowd:
            losses.of(record, annotation, "a crowd: written as void")
            crowds.append(rle)
        elif annotation.category_id not in class_of:
            losses.of(record, annotation, f"left out: its category is not among the first {LARGEST}")
        elif area == 0:
            losses.of(record, annotation, "left out: its mask is empty")
        elif len(kept) == LARGEST:
            losses.of(record, annotation, f"left out: an 8-bit PNG holds {LARGEST} objects")
        else:
            losses.fields_of_annotation(annotation)
            kept.append((annotation, rle, area))
    objects = np.zeros((record.height, record.width), np.uint8)
    classes = np.zeros_like(objects)
    for rle in crowds:
        objects[masks.rle_to_mask(rle)] = VOID
    classes[:] = objects
    for index in sorted(range(len(kept)), key=lambda index: -kept[index][2]):
        annotation, rle, _ = kept[index]
        mask = masks.rle_to_mask(rle)
        objects[mask] = index + 1
        classes[mask] = class_of[annotation.category_id]
    visible = np.bincount(objects.ravel(), minlength=256)[1:]
    for (annotation, _, area), seen in zip(kept, visible.tolist(), strict=False):
        if hidden := area - seen:
            losses.of(record, annotation, f"{hidden} of {area} pixels covered by other objects")
    return objects, classes


def voc_palette() -> np.ndarray:
    """Return the colours of Pascal VOC, uint8 [256, 3]: the bits of an index dealt out to r, g, b."""
    index = np.arange(256)
    channels = [
        sum(((index >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(8)) for channel in range(3)
    ]
    return np.stack(channels, axis=1).astype(np.uint8)


def save_palette_png(path: Path, indices: np.ndarray) -> None:
    """Save index values uint8 [H, W] as a PNG with the Pascal palette; its suffix becomes `.png`."""
    from PIL import Image

    picture = Image.fromarray(indices)
    picture.putpalette(voc_palette().tobytes())
    with atomic_path(path.with_suffix(".png")) as temporary:
        picture.save(temporary, "PNG")


def read_index_png(path: Path, report: Report) -> Split:
    """Read a Pascal-style folder.

    An object is a value of the object PNG; its class is the commonest class value on its pixels. Where only
    class PNGs are there, all pixels of a class are one annotation, and the report says so.

    Args:
        path: The folder.
        report: Where images that cannot be read are listed.

    Raises:
        InputError: There are no index PNGs.
    """
    by_object = (path / OBJECTS).is_dir()
    pngs = sorted((path / (OBJECTS if by_object else CLASSES)).rglob("*.png"))
    if not pngs:
        raise InputError(f"{path}: no PNGs in {OBJECTS}/ or {CLASSES}/; expected the Pascal VOC layout")
    photos = {
        file.relative_to(path / IMAGES).with_suffix("").as_posix(): file
        for file in sorted((path / IMAGES).rglob("*"))
        if file.is_file()
    }
    images: list[ImageRecord] = []
    annotations: list[Annotation] = []
    classes_seen = 0
    for png in track(pngs, "reading index PNGs"):
        stem = png.relative_to(path / (OBJECTS if by_object else CLASSES)).with_suffix("").as_posix()
        try:
            if stem not in photos:
                raise InputError(f"no photo of this name in {IMAGES}/")
            height, width = image_size(photos[stem])
            objects = _open(png, height, width)
            class_png = (path / CLASSES / stem).with_name(png.name)
            classes = (
                _open(class_png, height, width) if class_png.is_file() else (objects > 0).astype(np.uint8)
            )
        except InputError as error:
            report.add_skipped(stem, str(error))
            continue
        record = ImageRecord(
            len(images) + 1, photos[stem].relative_to(path / IMAGES).as_posix(), width, height
        )
        images.append(record)
        for value in np.unique(objects):
            if value in (0, VOID):
                continue
            mask = objects == value
            votes = np.bincount(classes[mask], minlength=256)
            votes[[0, VOID]] = 0
            index = int(votes.argmax())
            if index == 0:
                report.add_skipped(f"{stem}: object {value}", f"its pixels have no class in {CLASSES}/")
                continue
            classes_seen = max(classes_seen, index)
            annotations.append(
                Annotation(len(annotations) + 1, record.id, index, segmentation=masks.mask_to_rle(mask))
            )
    if not by_object:
        report.add_skipped(
            f"{len(annotations)} annotations",
            f"no {OBJECTS}/: all pixels of a class in an image are one annotation",
        )
    names = _class_names(path / MARKER)
    names += [f"class {index}" for index in range(len(names), classes_seen + 1)]
    categories = [{"id": index, "name": name} for index, name in enumerate(names) if index]
    return Split(path, images, annotations, categories=categories, images_dir=path / IMAGES)


def _open(path: Path, height: int, width: int) -> np.ndarray:
    values = open_index(path)
    if values.shape != (height, width):
        raise InputError(
            f"{path.name} is {values.shape[1]} × {values.shape[0]}, its photo {width} × {height}"
        )
    return values.astype(np.uint16)


def _class_names(path: Path) -> list[str]:
    """Read the class names by index; the first is the background."""
    if not path.is_file():
        return ["background"]
    lines = [line.strip() for line in path.read_text(encoding="utf-8").split("\n")]
    lines = [line for line in lines if line and not line.startswith("# label:")]
    return [match[1] if (match := _LABEL.match(line)) else line for line in lines] or ["background"]
