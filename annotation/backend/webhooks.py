"""Keep the annotations that Label Studio reports, one file each, for training."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annotation.schemas import WebhookRequest
from toolkit.files import write_json_atomic

logger = logging.getLogger(__name__)

STORED = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED")
DELETED = ("ANNOTATIONS_DELETED", "ANNOTATION_DELETED")


class AnnotationStore:
    """Annotations by project, as `<folder>/<project>/<annotation>.json`, each with its task.

    Args:
        folder: made when the first annotation comes; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = Path(folder) if folder is not None else None

    def take(self, event: WebhookRequest) -> int:
        """Store or forget what an event tells of; returns how many annotations that concerns."""
        if self.folder is None:
            return 0
        if event.action in STORED and event.annotation and event.task:
            path = self._path(event.annotation, event.task, event.project)
            if path is None:
                return 0
            task = {key: event.task.get(key) for key in ("id", "data", "project")}
            write_json_atomic(path, {**task, "annotations": [event.annotation]}, indent=None)
            return 1
        if event.action in DELETED:
            gone = [*(event.annotations or []), *([event.annotation] if event.annotation else [])]
            return sum(self._forget(one) for one in gone)
        return 0

    def tasks(self, project: int | str) -> Iterator[dict[str, Any]]:
        """The stored tasks of a project, in the form of Label Studio's JSON export, annotations merged."""
        merged: dict[Any, dict[str, Any]] = {}
        folder = self.folder / _safe(project) if self.folder is not None else None
        for path in sorted(folder.glob("*.json")) if folder is not None else []:
            try:
                task = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                logger.warning("stored annotation %s cannot be read (%s)", path.name, type(error).__name__)
                continue
            known = merged.setdefault(task.get("id"), {**task, "annotations": []})
            known["annotations"] += task["annotations"]
        yield from merged.values()

    def _path(
        self, annotation: dict[str, Any], task: dict[str, Any], project: dict[str, Any] | None
    ) -> Path | None:
        number = annotation.get("id")
        owner = task.get("project") or (project or {}).get("id")
        if not isinstance(number, int) or not isinstance(owner, int) or self.folder is None:
            return None
        return self.folder / _safe(owner) / f"{number}.json"

    def _forget(self, annotation: dict[str, Any]) -> int:
        number = annotation.get("id")
        if not isinstance(number, int) or self.folder is None:
            return 0
        found = list(self.folder.glob(f"*/{number}.json"))
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)


def _safe(project: int | str) -> str:
    """A project's number as a folder name; whatever else it says is dropped."""
    return "".join(character for character in str(project) if character.isdigit()) or "0"
