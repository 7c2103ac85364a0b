"""Projects with our labelling configuration, and photos or splits in them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotation.importing import (
    Address,
    find_photos,
    local_address,
    notes_of,
    photo_tasks,
    split_label_config,
    split_tasks,
)
from annotation.label_config import LabelConfig, default_label_config, parse_label_config
from annotation.label_studio import LabelStudioClient
from toolkit.errors import InputError
from toolkit.files import write_json_atomic
from toolkit.report import Report
from toolkit.split import Split, read_split

INSTRUCTION = (
    "<p><b>Click one, get all.</b> Turn on <i>Auto-Annotation</i> below the photo, pick the pink dots in the "
    "tool bar (<b>M</b>), press <b>1</b>, and click one distractor: it and everything like it is suggested. "
    "Accept with the green tick.</p>"
    "<p><b>2</b> instead of 1 takes only what you click. <b>Alt+click</b> something that does not belong "
    "(with Ctrl where a mask is in the way). Click a wrong mask and press <b>Backspace</b> to remove it.</p>"
)


@dataclass(frozen=True)
class Material:
    """What a project is about: a folder of photos, with a split's annotations where there is one."""

    title: str
    photos: Path
    split: Split | None = None

    @property
    def label_config(self) -> str:
        """The labelling configuration that suits it."""
        return default_label_config() if self.split is None else split_label_config(self.split)


def read_material(path: Path) -> Material:
    """A folder of photos, or a split (its folder or JSON file).

    Raises:
        InputError: it is neither.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise InputError(f"{path}: there is no such folder; give a folder of photos or a split")
    path = path.resolve()
    if path.is_file() or (path / "annotations.json").is_file():
        split = read_split(path)
        return Material((path if path.is_dir() else path.parent).name, split.images_dir.resolve(), split)
    find_photos(path, Report())
    return Material(path.name, path)


def material_tasks(
    material: Material, config: LabelConfig, address: Address, report: Report
) -> list[dict[str, Any]]:
    """The tasks of a project: photos, with a split's annotations as predictions."""
    if material.split is None:
        return photo_tasks(material.photos, address, report)
    return list(split_tasks(material.split, config, address, report, version=material.title))


def link_photos(root: Path, folder: Path) -> str:
    """Link a folder of photos into Label Studio's document root; returns the link's name.

    Links let several folders be shown from one root, without a copy, and leave everything else out of reach.

    Raises:
        InputError: the link cannot be made.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.name).strip("-.") or "photos"
    name = f"{plain}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"
    link = root / name
    if link.is_symlink() and link.resolve() == folder:
        return name
    try:
        root.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(folder, target_is_directory=True)
    except OSError as error:
        raise InputError(f"{link}: cannot link the photos ({error.strerror}); copy them to {root}") from error
    return name


class ProjectBook:
    """Which project belongs to which folder, kept between runs.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, int] = {}
        if path.is_file():
            try:
                self._known = {str(k): int(v) for k, v in json.loads(path.read_text("utf-8")).items()}
            except (OSError, ValueError, AttributeError) as error:
                raise InputError(f"{path}: cannot be read ({error}); remove it") from error

    def get(self, material: Material) -> int | None:
        """The project of a folder, None if it is new."""
        return self._known.get(str(material.photos))

    def put(self, material: Material, project: int) -> None:
        """Remember the project of a folder."""
        self._known[str(material.photos)] = project
        write_json_atomic(self._path, self._known)


def ensure_project(client: LabelStudioClient, material: Material, known: int | None) -> int:
    """The project for some material: the known one if it is still there, else a new one."""
    if known is not None:
        try:
            client.project(known)
        except InputError:  # somebody deleted it
            known = None
    if known is not None:
        return known
    return client.create_project(f"Declutter: {material.title}"[:50], material.label_config, INSTRUCTION)


def fill_locally(
    client: LabelStudioClient, project: int, material: Material, root: Path, report: Report
) -> tuple[int, int]:
    """Add the photos that a project does not have yet, without copying them.

    Args:
        client: signed in.
        project: its number.
        material: what to add.
        root: Label Studio's document root.
        report: gets what was left out.

    Returns:
        (photos added, photos in the project).
    """
    link = link_photos(root, material.photos)
    client.serve_folder(project, str(root / link), f"Photos: {material.title}")
    config = parse_label_config(client.project(project).label_config)
    tasks = material_tasks(material, config, local_address(link), report)
    return _add_new(client, project, tasks, config)


def fill_by_upload(
    client: LabelStudioClient, project: int, material: Material, report: Report
) -> tuple[int, int]:
    """Add the photos that a project does not have yet, uploading them; see `fill_locally`."""
    config = parse_label_config(client.project(project).label_config)
    have = {str(name) for name in (_file_name(task) for task in client.tasks(project)) if name}
    wanted: Sequence[str] = (
        find_photos(material.photos, report)
        if material.split is None
        else [record.file_name for record in material.split]
    )
    missing = [name for name in wanted if name not in have]
    addresses = client.upload_photos(project, material.photos, missing)
    tasks = material_tasks(material, config, lambda name: addresses.get(name, ""), report)
    fresh = [task for task in tasks if task["data"]["image"]]
    client.import_tasks(project, _with_field(fresh, config))
    return len(fresh), len(have) + len(fresh)


def _add_new(
    client: LabelStudioClient, project: int, tasks: Iterable[dict[str, Any]], config: LabelConfig
) -> tuple[int, int]:
    field = next(iter(config.images.values()))
    have = {task.data.get(field) for task in client.tasks(project)}
    fresh = [task for task in tasks if task["data"]["image"] not in have]
    client.import_tasks(project, _with_field(fresh, config))
    return len(fresh), len(have) + len(fresh)


def _with_field(tasks: Iterable[dict[str, Any]], config: LabelConfig) -> list[dict[str, Any]]:
    """The tasks with their photo in the field that the configuration's image tag shows."""
    field = next(iter(config.images.values()))
    return [{**task, "data": {field: task["data"]["image"]}} for task in tasks]


def _file_name(task: Any) -> str | None:
    return notes_of({"meta": getattr(task, "meta", None)}).get("file_name")
