"""Large JSON files read without building their objects.

The file is mapped into memory and walked once, from front to back. Long arrays of records are taken in
chunks, which yield for every record its place in the file and the few numbers that an index needs. A record
is decoded in full only when somebody asks for it.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

import msgspec
import numpy as np

from toolkit.errors import InputError
from toolkit.split.json_chunks import NOT_JSON, Chunk, decode_chunk

T = TypeVar("T")
H = TypeVar("H", bound=msgspec.Struct)

CHUNK_BYTES = 256 << 10
SMALLEST_CHUNK = 16 << 10

_SPACE = re.compile(rb"[ \t\r\n]*")
_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_NAME = re.compile(rb"(" + _STRING + rb")[ \t\r\n]*:[ \t\r\n]*", re.DOTALL)
_SCALAR = re.compile(_STRING + rb"|[^ \t\r\n,\]}]+", re.DOTALL)
_STRUCTURE = re.compile(_STRING + rb"|[\[\]{}]", re.DOTALL)
_BETWEEN_RECORDS = re.compile(rb"\}[ \t\r\n]*,[ \t\r\n]*\{")


class JsonFile:
    """A file mapped into memory. It can be pickled: the path travels.

    Raises:
        InputError: The file is missing or empty.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            with path.open("rb") as file:
                self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"{path}: cannot be read ({reason}); give a COCO or LVIS JSON file") from error
        except ValueError as error:  # mmap refuses a file of no bytes
            raise InputError(f"{path}: the file is empty, expected a COCO or LVIS JSON file") from error

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "size": len(self.data)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]
        if len(self.data) != state["size"]:
            raise InputError(f"{self.path}: the file has changed since it was opened; open the split again")

    def forget(self, start: int, end: int) -> None:
        """Give the memory of a part that has been read back to the system, which can read it again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            start = start // mmap.PAGESIZE * mmap.PAGESIZE
            self.data.madvise(mmap.MADV_DONTNEED, start, end - start)


class JsonWalk:
    """Walks over the members of the object that a file holds; after each name, its value is taken.

    Raises:
        InputError: From every step, where the file is not JSON or its top level is not an object.
    """

    def __init__(self, file: JsonFile):
        self._file, self._data = file, file.data
        # A byte order mark, as some editors on Windows write.
        self._position = 3 if self._data[:3] == b"\xef\xbb\xbf" else 0

    def names(self) -> Iterator[str]:
        """Give the name of each member, in order; take its value before the next."""
        if self._next_byte() != b"{":
            raise InputError(
                f"{self._file.path}: expected a JSON object with images, annotations and categories"
            )
        self._position += 1
        ended = self._ends_with(b"}")
        while not ended:
            name = _NAME.match(self._data, self._position)
            if name is None:
                raise self._error("expected a name")
            self._position = name.end()
            yield self._decode(name[1])
            ended = self._ends_or_goes_on(b"}")
        if self._next_byte():
            raise self._error("expected nothing more")

    def at_array(self) -> bool:
        """Say whether the value that comes next is an array."""
        return self._next_byte() == b"["

    def value(self) -> Any:
        """Take the value that comes next, decoded."""
        start = self._position
        if self._next_byte() in (b"[", b"{"):
            end = _closing(self._data, start + 1, len(self._data)) + 1
        else:
            scalar = _SCALAR.match(self._data, start)
            end = scalar.end() if scalar else 0
        if not end:
            raise self._error("expected a value that is not cut short")
        value = self._decode(self._data[start:end])
        self._position = end
        return value

    def records(
        self, header: type[H], on_malformed: Callable[[int, str], None], chunk_bytes: int = CHUNK_BYTES
    ) -> Iterator[Chunk[H]]:
        """Take the array that comes next, chunk by chunk, with places counted from the begin of the file.

        Where a chunk ends is guessed: at a `},{` about `chunk_bytes` further on. The guess holds only if all
        before it parses as an array. JSON is read from left to right, so a wrong guess (inside a string or a
        nested array, or behind the end of this one) cannot parse.

        Args:
            header: The fields to decode of each record; all others are skipped over.
            on_malformed: Called with the index of a record that does not fit `header` and what is wrong with
                it; such records are left out.
            chunk_bytes: How much of the file to take at a time.
        """
        count, step = 0, 0
        self._position += 1
        ended = self._ends_with(b"]")
        while not ended:
            start = self._position
            # Towards the end of the file smaller and smaller, since the chunk that ends the array costs most.
            step = step or min(chunk_bytes, max(SMALLEST_CHUNK, (len(self._data) - start) // 2))
            cut = _BETWEEN_RECORDS.search(self._data, start + step)
            stop = cut.start() + 1 if cut else len(self._data)
            note = _counting_from(count, on_malformed)
            try:
                chunk = decode_chunk(self._array(start, stop), header, note)
            except NOT_JSON as error:
                end = _closing(self._data, start, stop)
                if end < 0 and cut:
                    step *= 2  # so that a long nested value costs linear time
                    continue
                if end <= start:
                    raise self._error("the array is cut short or malformed") from error
                stop = end
                chunk = self._last_chunk(self._array(start, stop), header, note)
            yield chunk.moved(start - 1)
            self._file.forget(start, stop)
            count, step = count + chunk.count, 0
            self._position = stop
            ended = self._ends_or_goes_on(b"]")

    def _last_chunk(self, text: bytes, header: type[H], note: Callable[[int, str], None]) -> Chunk[H]:
        try:
            return decode_chunk(text, header, note)
        except NOT_JSON as error:
            raise self._error(str(error)) from error

    def _array(self, start: int, stop: int) -> bytes:
        """Return some records as an array of their own."""
        with memoryview(self._data) as data:
            return b"".join((b"[", data[start:stop], b"]"))

    def _decode(self, text: bytes) -> Any:
        try:
            return msgspec.json.decode(text)
        except NOT_JSON as error:
            raise self._error(str(error)) from error

    def _next_byte(self) -> bytes:
        """Skip space and return the byte behind it; empty at the end of the file."""
        space = _SPACE.match(self._data, self._position)
        self._position = space.end() if space else self._position
        return self._data[self._position : self._position + 1]

    def _ends_with(self, bracket: bytes) -> bool:
        """Step over `bracket` if it comes next, and say whether it did."""
        if self._next_byte() != bracket:
            return False
        self._position += 1
        return True

    def _ends_or_goes_on(self, bracket: bytes) -> bool:
        """Step over `bracket` or a comma, and say whether it was the bracket."""
        if self._ends_with(bracket):
            return True
        if not self._ends_with(b","):
            raise self._error(f"expected a comma or {bracket.decode()}")
        self._next_byte()
        return False

    def _error(self, problem: str) -> InputError:
        where = f"{self._file.path}: not valid JSON at byte {self._position}"
        return InputError(f"{where} ({problem}); write the file anew")


def _counting_from(first: int, note: Callable[[int, str], None]) -> Callable[[int, str], None]:
    return lambda index, problem: note(first + index, problem)


def _closing(data: mmap.mmap, start: int, stop: int) -> int:
    """Return where the bracket is that closes what was opened before `start`; -1 where there is none."""
    depth = 1
    for token in _STRUCTURE.finditer(data, start, stop):
        if token[0] in (b"[", b"{"):
            depth += 1
        elif token[0] in (b"]", b"}"):
            depth -= 1
            if depth == 0:
                return token.start()
    return -1


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
        except NOT_JSON as error:
            raise InputError(f"{self._file.path}: record {index} is not valid JSON ({error})") from error
