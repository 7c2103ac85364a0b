"""The formats that data sets come in, told apart by what lies in the folder."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from toolkit.errors import InputError
from toolkit.report import Report
from toolkit.split import Split, read_split


class Format(str, Enum):
    """A format that `declutter data convert` reads and writes; COCO panoptic it only reads."""

    coco = "coco"
    lvis = "lvis"
    yolo = "yolo"
    imagefolder = "imagefolder"
    index_png = "index-png"
    coco_panoptic = "coco-panoptic"


def detect_format(path: Path) -> Format:
    """Return the format of a data set.

    Raises:
        InputError: There is nothing at `path`, or nothing that is known.
    """
    from toolkit.data import convert_imagefolder, convert_index_png, convert_panoptic, convert_yolo

    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder; check the path")
    if convert_panoptic.is_panoptic(path):
        return Format.coco_panoptic
    if path.suffix == ".json" or (path / "annotations.json").is_file():
        return Format.coco
    if convert_yolo.is_yolo(path):
        return Format.yolo
    if path.is_dir() and convert_imagefolder.metadata_files(path):
        return Format.imagefolder
    if (path / convert_index_png.CLASSES).is_dir() or (path / convert_index_png.OBJECTS).is_dir():
        return Format.index_png
    if path.is_dir() and any(path.glob("*.json")):
        return Format.coco
    raise InputError(
        f"{path}: not recognised; expected annotations.json, data.yaml, metadata.parquet or "
        "SegmentationClass/"
    )


def read_any(path: Path, report: Report, form: Format | None = None, images_dir: Path | None = None) -> Split:
    """Read a data set of any format as a split.

    Args:
        path: The folder or the annotation file.
        report: Where records that cannot be read are listed.
        form: Its format; by default found out from what is there.
        images_dir: Where the images of COCO, LVIS or COCO panoptic JSON are.

    Raises:
        InputError: It cannot be read, or the format is not recognised.
    """
    from toolkit.data import convert_imagefolder, convert_index_png, convert_panoptic, convert_yolo

    form = form or detect_format(path)
    if form is Format.coco_panoptic:
        return convert_panoptic.read_panoptic(path, report, images_dir)
    if form is Format.yolo:
        return convert_yolo.read_yolo(path, report)
    if form is Format.imagefolder:
        return convert_imagefolder.read_imagefolder(path, report)
    if form is Format.index_png:
        return convert_index_png.read_index_png(path, report)
    return read_split(path, images_dir)


def write_any(
    split: Split, out: Path, report: Report, form: Format, *, tolerance: float = 0.0, link: bool = False
) -> None:
    """Write a split in any format.

    Args:
        split: What to write.
        out: The folder; made where missing.
        report: Where everything is listed that the format cannot hold.
        form: The format.
        tolerance: How far simplified outlines may stray, in pixels; for YOLO.
        link: Whether to link images instead of copying them.

    Raises:
        InputError: The folder holds a finished data set, a record is malformed, or the format is read only.
    """
    from toolkit.data import convert_coco, convert_imagefolder, convert_index_png, convert_lvis, convert_yolo

    if form is Format.coco_panoptic:
        raise InputError(
            "coco-panoptic is read only: its pixels hold one segment each, so masks that overlap do not fit; "
            "write coco or index-png"
        )
    if form is Format.yolo:
        convert_yolo.write_yolo(split, out, report, tolerance=tolerance, link=link)
        return
    writers = {
        Format.coco: convert_coco.write_coco,
        Format.lvis: convert_lvis.write_lvis,
        Format.imagefolder: convert_imagefolder.write_imagefolder,
        Format.index_png: convert_index_png.write_index_png,
    }
    writers[form](split, out, report, link=link)
