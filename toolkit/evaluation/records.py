"""What was measured on every photo, kept line by line, so that an evaluation that runs again goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit.errors import InputError


def key_of(*parts: Any) -> str:
    """Return a short text that is the same only for the same JSON values."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


class RecordFile:
    """JSON lines {"key": …, "record": …}; only ever added to, so records under other keys are not lost.

    The last line of a file whose writer was killed may be half a line: it is left out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._records: dict[str, dict[str, Any]] = {}
        self._broken_end = False
        if path.is_file():
            self._read()

    def _read(self) -> None:
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be read ({error.strerror}); choose another --out"
            ) from error
        self._broken_end = bool(text) and not text.endswith("\n")
        for line in text.splitlines():
            try:
                entry = json.loads(line)
                self._records[entry["key"]] = entry["record"]
            except (ValueError, KeyError, TypeError):
                continue

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the record under `key`, or None."""
        return self._records.get(key)

    def add(self, key: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a record at once, and return it as it will be read back."""
        line = json.dumps({"key": key, "record": record})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(("\n" if self._broken_end else "") + line + "\n")
        self._broken_end = False
        kept = json.loads(line)["record"]
        self._records[key] = kept
        return kept
