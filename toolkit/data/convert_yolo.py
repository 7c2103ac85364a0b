"""YOLO segmentation labels: a text file per photo, a polygon per object, coordinates from 0 to 1."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import masks
from toolkit.data.copying import records_with_files, start_folder
from toolkit.data.losses import Losses
from toolkit.data.progress import track
from toolkit.data.rings import join_rings
from toolkit.errors import InputError
from toolkit.files import write_text_atomic
from toolkit.image import IMAGE_SUFFIXES, image_size
from toolkit.report import Report
from toolkit.split import Annotation, ImageRecord, Split
from toolkit.split.paths import unique_name
from toolkit.split.placing import place_image

MARKER = "data.yaml"
SUBSETS = ("train", "val", "test")


def write_yolo(
    split: Split, out: Path, report: Report, *, tolerance: float = 0.0, link: bool = False
) -> None:
    """Write `images/`, `labels/` and `data.yaml`.

    The format holds a class and one polygon per object. Holes are filled, pieces are joined by bridges of no
    width, crowds are left out; each case is listed, other fields are counted. `train` and `val` of
    `data.yaml` both name the whole set: cut it first with `declutter data split`.

    Args:
        split: What to write.
        out: The folder; made where missing.
        report: Where everything is listed that the format cannot hold.
        tolerance: How far, in pixels, a simplified outline of a mask may stray; 0 keeps every pixel.
        link: Whether to link images instead of copying them.

    Raises:
        InputError: The folder holds a finished data set.
    """
    import yaml

    start_folder(out, MARKER)
    losses = Losses(report, "YOLO")
    class_of = {category["id"]: index for index, category in enumerate(split.categories)}
    taken: set[str] = set()
    for record, path in records_with_files(split, report, "writing YOLO"):
        name = unique_name(record.file_name, taken, by_stem=True)
        if name != record.file_name:
            report.add_skipped(
                record.file_name, f"its label file would clash with another: renamed to {name}"
            )
        losses.fields_of_image(record)
        lines = _lines(record, split.annotations_of(record.id), class_of, losses, tolerance)
        place_image(path, out / "images" / name, link=link)
        label = (out / "labels" / name).with_suffix(".txt")
        write_text_atomic(label, "".join(f"{line}\n" for line in lines))
    losses.finish()
    names = dict(enumerate(split.category_names.values()))
    text = yaml.safe_dump(
        {"train": "images", "val": "images", "names": names}, sort_keys=False, allow_unicode=True
    )
    write_text_atomic(out / MARKER, text)


def _lines(
    record: ImageRecord,
    annotations: Iterable[Annotation],
    class_of: dict[int, int],
    losses: Losses,
    tolerance: float,
) -> Iterator[str]:
    """Turn the annotations of one image into lines of its label file."""
    for annotation in annotations:
        if annotation.iscrowd:
            losses.of(record, annotation, "left out: YOLO has no crowds")
            continue
        if annotation.category_id not in class_of:
            losses.of(record, annotation, f"left out: its category {annotation.category_id} is not declared")
            continue
        try:
            outline, changes = outline_of(annotation, record.height, record.width, tolerance)
        except InputError as error:
            losses.of(record, annotation, f"left out: {error}")
            continue
        for change in changes:
            losses.of(record, annotation, change)
        if outline is None:
            continue
        losses.fields_of_annotation(annotation)
        fractions = np.clip(outline / (record.width, record.height), 0, 1)
        numbers = " ".join(f"{value:.8f}".rstrip("0").rstrip(".") for value in fractions.ravel())
        yield f"{class_of[annotation.category_id]} {numbers}"


def outline_of(
    annotation: Annotation, height: int, width: int, tolerance: float = 0.0
) -> tuple[np.ndarray | None, list[str]]:
    """Return one outline for a mask, and what had to change for it.

    Args:
        annotation: Its mask may have holes and several pieces.
        height: Of the image, pixels.
        width: Of the image, pixels.
        tolerance: How far the outline of a run-length code may stray, pixels.

    Returns:
        float [n, 2] in pixels, not closed, or None where nothing is left; and the changes in words.

    Raises:
        InputError: The segmentation is malformed.
    """
    segmentation = annotation.segmentation
    if isinstance(segmentation, list) and len(segmentation) == 1 and len(segmentation[0]) >= 6:
        return np.asarray(segmentation[0], float).reshape(-1, 2), []
    polygons = masks.mask_to_polygons(annotation.mask(height, width), tolerance)
    if not polygons:
        return None, ["left out: its mask is empty"]
    changes = []
    if holes := sum(len(polygon.interiors) for polygon in polygons):
        changes.append(f"holes filled ({holes}): YOLO has none")
    if len(polygons) > 1:
        changes.append(
            f"pieces joined by bridges of no width ({len(polygons)}): YOLO has one polygon per object"
        )
    return join_rings([np.asarray(polygon.exterior.coords)[:-1] for polygon in polygons]), changes


def read_yolo(path: Path, report: Report) -> Split:
    """Read a YOLO data set: a `data.yaml`, its folder, or a folder with `images/` and `labels/`.

    Lines with four numbers are boxes and become rectangles. Category ids are the class indices plus 1.

    Args:
        path: The folder or the `data.yaml`.
        report: Where lines and files that cannot be read are listed.

    Raises:
        InputError: There are no images, or `data.yaml` is malformed.
    """
    root = path if path.is_dir() else path.parent
    settings = _settings(path if path.is_file() else root / MARKER)
    names = _class_names(settings.get("names"), root / MARKER)
    images: list[ImageRecord] = []
    annotations: list[Annotation] = []
    files = _image_files(root, settings)
    if not files:
        raise InputError(f"{path}: no images found; expected data.yaml, or images/ and labels/")
    folder = _common_folder(root, files)
    for image_path in track(files, "reading YOLO"):
        file_name = Path(os.path.abspath(image_path)).relative_to(folder).as_posix()
        try:
            height, width = image_size(image_path)
        except InputError as error:
            report.add_skipped(file_name, str(error))
            continue
        record = ImageRecord(len(images) + 1, file_name, width, height)
        images.append(record)
        for number, line in enumerate(_label_lines(image_path), start=1):
            annotation = _annotation(line, record, len(annotations) + 1)
            if isinstance(annotation, str):
                report.add_skipped(f"{file_name}: label line {number}", annotation)
            elif annotation is not None:
                annotations.append(annotation)
    highest = max((annotation.category_id for annotation in annotations), default=0)
    named = [names.get(index, f"class {index}") for index in range(max(highest, max(names, default=-1) + 1))]
    categories = [{"id": index + 1, "name": name} for index, name in enumerate(named)]
    return Split(root, images, annotations, categories=categories, images_dir=folder)


def _settings(path: Path) -> dict[str, Any]:
    import yaml

    if not path.is_file():
        return {}
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML ({error})") from error
    if not isinstance(settings, dict):
        raise InputError(f"{path}: expected keys train, val and names")
    return settings


def _class_names(names: Any, path: Path) -> dict[int, str]:
    if names is None:
        return {}
    if isinstance(names, list):
        return {index: str(name) for index, name in enumerate(names)}
    try:
        return {int(index): str(name) for index, name in names.items()}
    except (AttributeError, ValueError) as error:
        raise InputError(f"{path}: expected 'names' to be a list, or a table of index: name") from error


def _image_files(root: Path, settings: dict[str, Any]) -> list[Path]:
    """Return each image once, in the order of the subsets."""
    base = root / str(settings.get("path") or "")
    base = base if base.is_dir() else root
    places: list[Path] = []
    for subset in SUBSETS:
        named = settings.get(subset) or []
        places += [_place(base, str(name)) for name in (named if isinstance(named, list) else [named])]
    found: dict[Path, Path] = {}
    for place in places or [root / "images"]:
        for file in _files_of(place, base):
            if file.suffix.lower() in IMAGE_SUFFIXES:
                found.setdefault(Path(os.path.abspath(file)), file)
    return list(found.values())


def _place(base: Path, name: str) -> Path:
    # Roboflow writes `../train/images` for a folder that lies beside the data.yaml.
    return base / name if (base / name).exists() else base / name.removeprefix("../")


def _files_of(place: Path, base: Path) -> Sequence[Path]:
    if place.is_dir():
        return sorted(file for file in place.rglob("*") if file.is_file())
    if place.is_file():  # a list of images, one path per line
        lines = place.read_text(encoding="utf-8").split("\n")
        return [base / line.strip() for line in lines if line.strip()]
    return []


def _common_folder(root: Path, files: Sequence[Path]) -> Path:
    """Return `images/` where all files lie below it, else the innermost folder that all lie below."""
    common = Path(os.path.commonpath([os.path.abspath(file.parent) for file in files]))
    images = Path(os.path.abspath(root / "images"))
    return images if common.is_relative_to(images) else common


def _label_lines(image: Path) -> list[str]:
    """Return the lines of an image's label file: in `labels/` where the image is in `images/`."""
    parts = list(image.parts)
    last = len(parts) - 1 - parts[::-1].index("images") if "images" in parts else None
    if last is not None:
        parts[last] = "labels"
    label = Path(*parts).with_suffix(".txt")
    return label.read_text(encoding="utf-8", errors="replace").splitlines() if label.is_file() else []


def _annotation(line: str, record: ImageRecord, annotation_id: int) -> Annotation | str | None:
    """Parse one line; return what is wrong with it where it cannot be, None where it is blank."""
    fields = line.split()
    if not fields:
        return None
    try:
        index, numbers = int(fields[0]), np.array(fields[1:], float)
    except ValueError:
        return "expected a class index and numbers"
    if index < 0 or not np.isfinite(numbers).all():
        return "expected a class index from 0 and finite numbers"
    if len(numbers) == 4:
        x, y, w, h = numbers
        numbers = np.array(
            [x - w / 2, y - h / 2, x + w / 2, y - h / 2, x + w / 2, y + h / 2, x - w / 2, y + h / 2]
        )
    if len(numbers) < 6 or len(numbers) % 2:
        return f"expected a box of 4 numbers or at least 3 points, got {len(numbers)} numbers"
    if numbers.min() < -1e-6 or numbers.max() > 1 + 1e-6:
        return "expected coordinates between 0 and 1"
    points = np.round(numbers.reshape(-1, 2) * (record.width, record.height), 4)
    return Annotation(annotation_id, record.id, index + 1, segmentation=[points.ravel().tolist()])


def is_yolo(path: Path) -> bool:
    """Say whether a path looks like a YOLO data set."""
    if path.suffix in (".yaml", ".yml"):
        return True
    return (path / MARKER).is_file() or ((path / "labels").is_dir() and (path / "images").is_dir())
