"""What a build has finished so far, one line of JSON per image: a killed run goes on where it stopped.

A line is added only once its image is in place. A run killed while writing one leaves at most a last line
without an end, which the next run cuts off and makes anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from synth.build.workshop import Made
from toolkit.errors import InputError
from toolkit.files import write_bytes_atomic, write_json_atomic

FOLDER = ".build"


def image_name(index: int) -> str:
    """File name of an image of the build."""
    return f"{index:06d}.jpg"


class Journal:
    """The finished images of a build in a split folder. Use it as a context manager.

    Args:
        root: the split folder that is being made.
        identity: what the build is, to tell it from others; see `Workshop.identity`.

    Raises:
        InputError: the folder holds another build that is not finished, or another process is at work in it.
    """

    def __init__(self, root: Path, identity: dict[str, Any]) -> None:
        self.root, self.folder = root, root / FOLDER
        self._lines = self.folder / "images.jsonl"
        self._identity = identity
        self.finished: set[int] = set()

    def __enter__(self) -> Journal:
        self._check()
        self._lock()
        for path in (self.root / "images").glob(".*.tmp.*"):  # half-written by a run that was killed
            path.unlink(missing_ok=True)
        self.finished = {line["index"] for line in self.read()}
        self._file = self._lines.open("ab")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._guard.close()

    def add(self, made: Made) -> None:
        """Put an image in place, then note it."""
        if made.jpeg is not None:
            write_bytes_atomic(self.root / "images" / image_name(made.index), made.jpeg)
        record = {key: value for key, value in vars(made).items() if key != "jpeg"}
        record["made"] = made.jpeg is not None
        self._file.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        self.finished.add(made.index)

    def read(self) -> Iterator[dict[str, Any]]:
        """The lines, in the order in which images were finished; a last one without an end is cut off."""
        if not self._lines.exists():
            return
        whole = 0
        with self._lines.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                yield json.loads(line)
        if whole < self._lines.stat().st_size:
            os.truncate(self._lines, whole)

    def offsets(self) -> dict[int, int]:
        """Where the line of each image begins, for reading them in the order of the images."""
        found, position = {}, 0
        with self._lines.open("rb") as file:
            for line in file:
                found[json.loads(line)["index"]] = position
                position += len(line)
        return found

    def in_order(self) -> Iterator[dict[str, Any]]:
        """The lines in the order of the images, one at a time."""
        offsets = self.offsets()
        with self._lines.open("rb") as file:
            for index in sorted(offsets):
                file.seek(offsets[index])
                yield json.loads(file.readline())

    def remove(self) -> None:
        """Throw the journal away once the split is finished."""
        for path in sorted(self.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        self.folder.rmdir()

    def _check(self) -> None:
        path = self.folder / "job.json"
        if not path.exists():
            write_json_atomic(path, self._identity)
            return
        different = difference(json.loads(path.read_text(encoding="utf-8")), self._identity)
        if different:
            raise InputError(
                f"{self.root} holds an unfinished build that is another one ({different}); "
                "run it as it was begun, or choose another --out"
            )

    def _lock(self) -> None:
        """Keep other processes out while the journal is open; the system lets go when this one dies."""
        self._guard = (self.folder / "lock").open("w")
        try:
            import fcntl
        except ImportError:  # Windows: nothing to lock with
            return
        try:
            fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._guard.close()
            raise InputError(
                f"{self.root}: another process is building it; wait, or choose another --out"
            ) from error


def difference(begun: dict[str, Any], asked: dict[str, Any], prefix: str = "") -> str:
    """Name the first few values that differ between two builds; '' when none does."""
    found = []
    for key in {**begun, **asked}:
        old, new = begun.get(key), asked.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            if inner := difference(old, new, f"{prefix}{key}."):
                found.append(inner)
        elif old != new:
            found.append(f"{prefix}{key} {old!r}, not {new!r}")
    return ", ".join(found[:3])
