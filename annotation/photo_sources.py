"""Where the photos of Label Studio tasks are found again: on the server, or in local folders."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from annotation.backend.addresses import AddressBook
from annotation.backend.fetching import PhotoFetcher
from annotation.backend.settings import settings_from_environment
from annotation.backend.tokens import ApiKey
from annotation.exporting import Photo, name_of
from annotation.importing import notes_of
from toolkit.errors import InputError
from toolkit.split.paths import check_relative


def from_label_studio(url: str, api_key: str) -> Photo:
    """Photos fetched from a Label Studio, from local files it links to, and from allowed hosts."""
    settings = settings_from_environment(label_studio_url=url)
    book = AddressBook(url, settings.allowed_hosts, settings.local_roots)
    fetcher = PhotoFetcher(book, ApiKey(url, api_key))

    def fetch(task: Mapping[str, Any], address: str) -> bytes:
        number = task.get("id")
        return fetcher.fetch(address, number if isinstance(number, int) else None)

    return fetch


def in_folders(folders: Sequence[Path], otherwise: Photo | None = None) -> Photo:
    """Photos by their path or name in local folders; elsewhere only if there is another source."""
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: there is no such folder of photos")

    def find(task: Mapping[str, Any], address: str) -> Path | bytes:
        names = [str(notes_of(task).get("file_name") or ""), name_of(address)]
        for name in filter(None, names):
            found = _find(folders, name)
            if found is not None:
                return found
        if otherwise is not None:
            return otherwise(task, address)
        raise InputError(f"its photo {names[-1]} is in none of the folders; give another one with --photos")

    return find


def read_tasks(source: Path) -> list[dict[str, Any]]:
    """The tasks of a JSON export of Label Studio, or of all such files below a folder, merged.

    Raises:
        InputError: a file is missing or is no such export.
    """
    if not source.exists():
        raise InputError(f"{source}: there is no such file or folder")
    files = sorted(source.rglob("*.json")) if source.is_dir() else [source]
    merged: dict[Any, dict[str, Any]] = {}
    for file in files:
        for index, task in enumerate(_tasks_in(file)):
            key = task.get("id") if task.get("id") is not None else f"{file}:{index}"
            known = merged.setdefault(key, {**task, "annotations": []})
            known["annotations"] = known["annotations"] + list(task.get("annotations") or [])
    if not merged:
        raise InputError(f"{source}: holds no tasks; expected Label Studio's JSON export")
    return list(merged.values())


def _tasks_in(file: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file}: is no JSON that can be read ({error})") from error
    tasks = content if isinstance(content, list) else [content]
    if not all(isinstance(task, dict) and isinstance(task.get("data"), dict) for task in tasks):
        raise InputError(
            f'{file}: expected a list of tasks with "data"; export as JSON, not JSON-MIN or COCO'
        )
    return tasks


def _find(folders: Sequence[Path], name: str) -> Path | None:
    try:
        relative = check_relative(name)
    except InputError:
        return None
    for folder in folders:
        for candidate in (folder / relative, folder / "images" / relative, folder / Path(relative).name):
            if candidate.is_file() and candidate.resolve().is_relative_to(folder.resolve()):
                return candidate
    return None
