"""Which extractors made a folder's index maps, and their labels without a region: kept beside the maps.

A build that goes on, or finds all its maps made, still reports what was left unknown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.files import write_json_atomic

FILE = "extractors.json"


def note_extractor(folder: Path, source: str, labels: Mapping[str, str], unmapped: Sequence[str]) -> None:
    """Note an extractor that makes maps of a folder.

    Args:
        folder: of the maps.
        source: what the extractor is called in reports.
        labels: its labels, and the region that each stands for.
        unmapped: its labels that the table does not name; their pixels are left unknown.
    """
    found = noted_extractors(folder)
    found[source] = {"labels": dict(labels), "unmapped_labels": list(unmapped)}
    write_json_atomic(folder / FILE, dict(sorted(found.items())))


def noted_extractors(folder: Path) -> dict[str, Any]:
    """The extractors noted in a folder by what they are called; none where the maps were given.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); remove it") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected an object of extractors; remove it")
    return found


def unmapped_labels(folder: Path) -> list[str]:
    """The labels without a region of all extractors noted in a folder, each once, sorted."""
    return sorted({label for one in noted_extractors(folder).values() for label in one["unmapped_labels"]})
