"""A chunk of a long JSON array: where each record is, and the few fields of it that an index needs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np

H = TypeVar("H", bound=msgspec.Struct)

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError)
"""What decoding raises where the text is no JSON."""

_SEPARATOR = re.compile(rb"[ \t\r\n,]*")


@dataclass(frozen=True)
class Chunk(Generic[H]):
    """Records of an array: where each begins and ends, and its decoded header.

    Attributes:
        count: Records in the chunk, malformed ones included.
        starts: int64 [n], bytes, of the records that fit their header.
        ends: int64 [n], bytes.
        headers: The n headers.
    """

    count: int
    starts: np.ndarray
    ends: np.ndarray
    headers: list[H]

    def moved(self, offset: int) -> Chunk[H]:
        """Return the chunk with places counted from elsewhere."""
        return Chunk(self.count, self.starts + offset, self.ends + offset, self.headers)


def decode_chunk(text: bytes, header: type[H], on_malformed: Callable[[int, str], None]) -> Chunk[H]:
    """Find the records of an array and decode the fields that `header` names; others are skipped over.

    Args:
        text: A JSON array.
        header: The fields to decode.
        on_malformed: Called with the index of a record that does not fit `header` and what is wrong with it;
            such records are left out.

    Raises:
        msgspec.DecodeError: The text is no JSON array; nothing was called before.
        UnicodeDecodeError: The text is not UTF-8.
    """
    try:
        headers = _decoder(header).decode(text)
    except msgspec.ValidationError:
        return _decode_one_by_one(text, header, on_malformed)
    starts, ends = _places_between_braces(text)
    if len(starts) != len(headers):
        starts, ends, _ = _places_of_values(text)
    return Chunk(len(headers), starts, ends, headers)


@cache
def _decoder(header: type[msgspec.Struct]) -> Any:
    return msgspec.json.Decoder(list[header])  # type: ignore[valid-type]


def _decode_one_by_one(text: bytes, header: type[H], on_malformed: Callable[[int, str], None]) -> Chunk[H]:
    starts, ends, records = _places_of_values(text)
    headers, kept = [], []
    for index, record in enumerate(records):
        try:
            headers.append(msgspec.json.decode(record, type=header))
            kept.append(index)
        except msgspec.ValidationError as error:
            on_malformed(index, str(error))
    return Chunk(len(records), starts[kept], ends[kept], headers)


def _places_between_braces(text: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Cut an array of objects wherever `}`, a comma and `{` follow each other, whatever the space between.

    All records are cut apart, and perhaps more inside a string or a nested array: as many places as there are
    records are the right ones.

    Returns:
        Begin and end of each object, int64 [n] each.
    """
    values = np.frombuffer(text, np.uint8)
    opening = np.flatnonzero(values == ord("{"))
    if not len(opening):
        return opening, opening
    comma = _last_before(values, opening)
    closing = _last_before(values, comma)
    between = (values[comma] == ord(",")) & (values[closing] == ord("}"))
    starts = np.concatenate([opening[:1], opening[between]])
    ends = np.concatenate([closing[between], [text.rindex(b"}")]]) + 1
    return starts, ends


def _last_before(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return where the last byte before each place is that is no space; the array's bracket is one."""
    places = places - 1
    while (space := values[places] <= ord(" ")).any():
        places = places - space
    return places


def _places_of_values(text: bytes) -> tuple[np.ndarray, np.ndarray, list[msgspec.Raw]]:
    """Return begin and end of each value of an array, and its text."""
    values = msgspec.json.decode(text, type=list[msgspec.Raw])
    starts: np.ndarray = np.empty(len(values), np.int64)
    position = 1
    for index, value in enumerate(values):
        separator = _SEPARATOR.match(text, position)
        starts[index] = position = separator.end() if separator else position
        position += len(value)
    return starts, starts + np.fromiter(map(len, values), np.int64, len(values)), values
