"""Images on their way from one data set to another: which are there, under which names, and copied once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from toolkit.data.progress import track
from toolkit.errors import InputError
from toolkit.report import Report
from toolkit.split import Annotation, ImageRecord, Split, SplitWriter

Change = Callable[[ImageRecord, list[Annotation]], tuple[ImageRecord, list[Annotation]]]


def start_folder(out: Path, marker: str) -> None:
    """Make the target folder, refusing one that `marker`, the file written last, says is finished.

    Raises:
        InputError: It is finished already, or cannot be made.
    """
    if (out / marker).exists():
        raise InputError(f"{out}: holds a finished data set already ({marker}); choose another folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{out}: cannot make this folder ({error.strerror}); choose another place"
        raise InputError(message) from error


def records_with_files(split: Split, report: Report, task: str) -> Iterator[tuple[ImageRecord, Path]]:
    """Give the images whose files are there, with a progress bar; the others are listed as left out.

    Raises:
        InputError: Not a single file is there.
    """
    found = 0
    for record in track(split, task):
        try:
            path = split.image_path(record)
        except InputError as error:
            report.add_skipped(record.file_name, str(error))
            continue
        if path.is_file():
            found += 1
            yield record, path
        else:
            report.add_skipped(
                record.file_name, f"left out with its annotations: no such file in {split.images_dir}"
            )
    if len(split) and not found:
        raise InputError(
            f"none of the {len(split)} images is in {split.images_dir}; name their folder with --images"
        )


def copy_images(
    split: Split, writer: SplitWriter, report: Report, task: str, change: Change | None = None
) -> None:
    """Copy every image of a split with its annotations, changed on the way where `change` is given."""
    for record, path in records_with_files(split, report, task):
        regions = split.regions_path(record)
        if regions is not None and not regions.is_file():
            report.add_skipped(f"{record.file_name}: regions", f"no such file: {regions}")
            regions = None
        annotations = split.annotations_of(record.id)
        if change is not None:
            record, annotations = change(record, annotations)
        writer.add_record(record, path, annotations, regions=regions)
