"""Write a file whole or not at all: a killed run leaves the old file or the new one, never half of one."""

from __future__ import annotations

import json
import math
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from toolkit.errors import InputError

# Keeps the temporary name within the 255 bytes that file systems allow, whatever the target is called.
_STEM_LENGTH = 40


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Lend a temporary path beside `path`, and move it into place when the block ends without an error.

    For libraries that write a file by themselves; the temporary path keeps the suffix. Missing parent folders
    are made, a symbolic link is followed, and nothing is left behind when the block raises.

    Raises:
        InputError: the folder cannot be made or written to.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.stem[:_STEM_LENGTH]}.{secrets.token_hex(6)}.tmp{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{target.parent}: cannot make this folder ({error.strerror}); choose another"
        ) from error
    try:
        yield temporary
        os.replace(temporary, target)
    except (PermissionError, IsADirectoryError) as error:
        raise InputError(
            f"{target}: cannot write this file ({error.strerror}); choose another place"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Write bytes to `path` by way of a temporary file in the same folder.

    Raises:
        InputError: the place cannot be written to.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text_atomic(path: str | os.PathLike[str], text: str) -> None:
    """Write text to `path` as UTF-8 with the line ends it has, by way of a temporary file in the same folder.

    Raises:
        InputError: the place cannot be written to.
    """
    write_bytes_atomic(path, text.encode("utf-8"))


def write_json_atomic(path: str | os.PathLike[str], value: Any, indent: int | None = 2) -> None:
    """Write `value` as JSON to `path`; a number that is not finite becomes `null`.

    Args:
        path: where to write.
        value: what `json` takes, and besides NumPy numbers and arrays, paths and mappings.
        indent: spaces per level; None writes one line, several times faster, for large files.

    Raises:
        InputError: the place cannot be written to.
    """
    try:
        text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:  # a NaN or an infinity somewhere, which JSON does not have
        text = json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)
    write_text_atomic(path, text + "\n")


def share_as_folder(folder: str | os.PathLike[str]) -> None:
    """Let everybody read (and write) a folder's files who may do so with the folder itself.

    For libraries that write files for their owner alone, such as safetensors: others serve such weights.
    """
    mode = os.stat(folder).st_mode & 0o666
    for path in Path(folder).iterdir():
        if path.is_file():
            path.chmod(mode)


def _plain(value: Any) -> Any:
    """Return the JSON-ready form of a value that `json` does not know."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return value.tolist()
    raise TypeError(f"cannot write a {type(value).__name__} as JSON")


def _finite(value: Any) -> Any:
    """Return a JSON-ready copy of `value` with None for every number that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if value is None or isinstance(value, (str, int)):
        return value
    return _finite(_plain(value))
