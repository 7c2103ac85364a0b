"""Put image files in place: copied or linked, and left alone where they are already."""

from __future__ import annotations

import filecmp
import os
import shutil
from pathlib import Path

from toolkit.errors import InputError
from toolkit.files import atomic_path


def place_image(source: Path, target: Path, *, link: bool = False) -> None:
    """Copy a file whole or not at all; do nothing where the same bytes are there from an earlier run.

    Args:
        source: The file.
        target: Where it goes; missing folders are made.
        link: Whether to link instead of copying, where the file system can.

    Raises:
        InputError: There is no such file, or the target cannot be written.
    """
    try:
        if target.exists() and (target.samefile(source) or filecmp.cmp(source, target, shallow=False)):
            return
        with atomic_path(target) as temporary:
            if not (link and _linked(source, temporary)):
                shutil.copyfile(source, temporary)
    except FileNotFoundError as error:
        raise InputError(f"{source}: there is no such image; check the path") from error


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        return False
    return True
