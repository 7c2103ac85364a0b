"""The chunked scan finds the records that the standard library finds, wherever the cuts fall."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from toolkit.split.fast_json import JsonFile, LazyRecords, scan_records


class Header(msgspec.Struct):
    id: int


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text('{}[],:"\\ ä', max_size=6)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("a{}],\"'", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
records = st.lists(st.fixed_dictionaries({"id": st.integers(0, 99), "more": values}), max_size=12)


@given(
    records,
    st.integers(1, 60),
    st.sampled_from([None, 1]),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " : ")]),
)
def test_every_record_is_found(
    items: list[dict], chunk_bytes: int, indent: int | None, separators: tuple[str, str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.json"
        path.write_text(
            json.dumps({"before": {"annotations": [1]}, "items": items}, indent=indent, separators=separators)
        )
        file = JsonFile(path)
        found, ids = [], []
        for scanned in scan_records(file.members()["items"], Header, fail, chunk_bytes):
            found += list(LazyRecords(file, scanned.starts, scanned.ends, dict))
            ids += [header.id for header in scanned.headers]
    assert found == items
    assert ids == [item["id"] for item in items]


def fail(index: int, problem: str) -> None:
    raise AssertionError(f"{index}: {problem}")
