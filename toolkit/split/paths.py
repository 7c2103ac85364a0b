"""File names of images: kept below their folder, found where published data sets put them, kept unique."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from toolkit.errors import InputError


def check_relative(name: str) -> str:
    """Return a file name that stays below the folder it is joined to, with forward slashes.

    Raises:
        InputError: The name is empty, absolute, or climbs out with `..`.
    """
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if not posix.name or posix.is_absolute() or windows.anchor or ".." in posix.parts + windows.parts:
        raise InputError(f"file_name {name!r} is not a path below the image folder; give one without '..'")
    return posix.as_posix()


def find_below(folder: Path, name: str) -> Path:
    """Return where a file is.

    That is below `folder` under its full name, or under the last part of it: LVIS names the folders of COCO,
    but many keep all photos in one.

    Raises:
        InputError: The name leads out of the folder.
    """
    path = folder / check_relative(name)
    if "/" in name and not path.exists() and (flat := folder / path.name).exists():
        return flat
    return path


def find_images_dir(json_path: Path, names: Sequence[str]) -> Path:
    """Guess the image folder of an annotation file from where a few of its images are.

    Tried in turn: `images/` beside the file, its own folder, a folder beside it or beside its folder that is
    named like the end of the file name (COCO keeps `annotations/instances_val2017.json` next to `val2017/`),
    then `images/` and the files themselves one folder up.
    """
    here, above = json_path.parent, json_path.parent.parent
    ending = json_path.stem.split("_")[-1]
    candidates = [here / "images", here, here / ending, above / ending, above / "images" / ending]
    candidates += [above / "images", above]
    for folder in candidates:
        if folder.is_dir() and any(_exists(folder, name) for name in names):
            return folder
    return candidates[0]


def _exists(folder: Path, name: str) -> bool:
    try:
        return find_below(folder, name).is_file()
    except InputError:
        return False


def unique_name(name: str, taken: set[str], *, by_stem: bool = False) -> str:
    """Return `name`, or `name-2`, `name-3`, … before the suffix, so that it is not taken; then take it.

    Args:
        name: A file name with forward slashes.
        taken: The names given so far; the one returned is added. Letter case does not tell names apart,
            because on some file systems it does not.
        by_stem: Whether names that differ only in the suffix clash too.
    """
    path = PurePosixPath(name)
    for count in range(1, len(taken) + 2):
        stem = path.stem if count == 1 else f"{path.stem}-{count}"
        candidate = (path.parent / f"{stem}{path.suffix}").as_posix()
        key = (path.parent / stem).as_posix() if by_stem else candidate
        if key.lower() not in taken:
            break
    taken.add(key.lower())
    return candidate
