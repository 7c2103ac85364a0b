"""Large JSON files read without building their objects.

The file is mapped into memory. One pass finds the members of the top-level object; long arrays are then
scanned in chunks, which yields for every record its place in the file and the few numbers that an index
needs. A record is decoded in full only when somebody asks for it.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import msgspec
import numpy as np

from toolkit.errors import InputError

T = TypeVar("T")
H = TypeVar("H", bound=msgspec.Struct)

CHUNK_BYTES = 8 << 20
_BETWEEN_RECORDS = re.compile(rb"\}[ \t\r\n]*,(?=[ \t\r\n]*\{)")
_SEPARATOR = re.compile(rb"[ \t\r\n,]*")


class JsonFile:
    """A JSON file whose top level is an object, mapped into memory. It can be pickled: the path travels.

    Raises:
        InputError: The file is missing, empty, not JSON, or its top level is not an object.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            with path.open("rb") as file:
                self.data: bytes | mmap.mmap = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"{path}: cannot be read ({reason}); give a COCO or LVIS JSON file") from error
        except ValueError as error:  # mmap refuses a file of no bytes
            raise InputError(f"{path}: the file is empty, expected a COCO or LVIS JSON file") from error
        self._address = self._address_of(self.data)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "size": len(self.data)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]
        if len(self.data) != state["size"]:
            raise InputError(f"{self.path}: the file has changed since it was opened; open the split again")

    @staticmethod
    def _address_of(buffer: Any) -> int:
        return np.frombuffer(buffer, np.uint8).__array_interface__["data"][0]

    def members(self) -> dict[str, JsonValue]:
        """Return the members of the top-level object, undecoded."""
        start = (
            3 if self.data[:3] == b"\xef\xbb\xbf" else 0
        )  # a byte order mark, as some editors on Windows write
        try:
            raw = msgspec.json.decode(memoryview(self.data)[start:], type=dict[str, msgspec.Raw])
        except msgspec.ValidationError as error:
            message = f"{self.path}: expected a JSON object with images, annotations and categories"
            raise InputError(message) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{self.path}: not valid JSON ({error}); write the file anew") from error
        members = {}
        for name, value in raw.items():
            offset = self._address_of(value) - self._address
            members[name] = JsonValue(self, offset, offset + len(memoryview(value)))
        return members


@dataclass(frozen=True)
class JsonValue:
    """One value inside a JSON file: bytes `start` to `end`."""

    file: JsonFile
    start: int
    end: int

    @property
    def text(self) -> memoryview:
        """The undecoded bytes."""
        return memoryview(self.file.data)[self.start : self.end]

    def decode(self) -> Any:
        """Return the decoded value."""
        return msgspec.json.decode(self.text)

    def is_array(self) -> bool:
        """Say whether the value is an array."""
        return self.end > self.start and self.file.data[self.start] == ord("[")

    def chunks(self, chunk_bytes: int = CHUNK_BYTES) -> Iterator[tuple[int, bytes]]:
        """Cut an array of objects into smaller arrays, each with the place in the file of its first byte.

        A cut is guessed where `},{` stands about `chunk_bytes` further on, and kept only if what lies before
        it parses as an array: JSON is read left to right, so a wrong guess (inside a string or a nested
        array) cannot parse.
        """
        data, position, end = self.file.data, self.start + 1, self.end - 1
        while position < end:
            stop, size = end, chunk_bytes
            while end - position > size:
                cut = _BETWEEN_RECORDS.search(data, position + size, end)
                if cut is None:
                    break
                candidate = cut.start() + 1
                if _is_array(b"[" + data[position:candidate] + b"]"):
                    stop = candidate
                    break
                size = 2 * size  # so that a long nested value costs linear time
            yield position - 1, b"[" + data[position:stop] + b"]"
            following = _SEPARATOR.match(data, stop, end)
            position = following.end() if following else stop


def _is_array(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except msgspec.DecodeError:
        return False
    return True


@dataclass(frozen=True)
class ScannedRecords(Generic[H]):
    """A run of records: where each begins and ends in the file, and its decoded header."""

    starts: np.ndarray  # int64 [n]
    ends: np.ndarray  # int64 [n]
    headers: list[H]


def scan_records(
    array: JsonValue,
    header: type[H],
    on_malformed: Callable[[int, str], None],
    chunk_bytes: int = CHUNK_BYTES,
) -> Iterator[ScannedRecords[H]]:
    """Find every record of an array and decode the fields that `header` names, chunk by chunk.

    Args:
        array: An array of objects.
        header: The fields to decode; all others are skipped over.
        on_malformed: Called with the index of a record that does not fit `header` and what is wrong with it;
            such records are left out.
        chunk_bytes: How much of the file to hold decoded at a time.
    """
    decoder = msgspec.json.Decoder(list[header])  # type: ignore[valid-type]
    raw_decoder = msgspec.json.Decoder(list[msgspec.Raw])
    count = 0
    for offset, text in array.chunks(chunk_bytes):
        records = raw_decoder.decode(text)
        starts: np.ndarray = np.empty(len(records), np.int64)
        position = 1
        for index, record in enumerate(records):
            position = _SEPARATOR.match(text, position).end()  # type: ignore[union-attr]
            starts[index] = position
            position += len(record)
        ends = starts + np.fromiter((len(record) for record in records), np.int64, len(records))
        try:
            headers = decoder.decode(text)
        except msgspec.ValidationError:
            headers, kept = _decode_one_by_one(records, header, count, on_malformed)
            starts, ends = starts[kept], ends[kept]
        count += len(records)
        yield ScannedRecords(starts + offset, ends + offset, headers)


def _decode_one_by_one(
    records: Sequence[msgspec.Raw], header: type[H], first: int, on_malformed: Callable[[int, str], None]
) -> tuple[list[H], list[int]]:
    headers, kept = [], []
    for index, record in enumerate(records):
        try:
            headers.append(msgspec.json.decode(record, type=header))
            kept.append(index)
        except msgspec.ValidationError as error:
            on_malformed(first + index, str(error))
    return headers, kept


class LazyRecords(Sequence[T]):
    """Records of a JSON file, each decoded when it is asked for."""

    def __init__(self, file: JsonFile, starts: np.ndarray, ends: np.ndarray, make: Callable[[Any], T]):
        self._file, self._starts, self._ends, self._make = file, starts, ends, make

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        start, end = int(self._starts[index]), int(self._ends[index])
        try:
            return self._make(msgspec.json.decode(self._file.data[start:end]))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{self._file.path}: record {index} is not valid JSON ({error})") from error
