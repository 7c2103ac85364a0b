"""The chunked scan finds the records that the standard library finds, wherever the cuts fall."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from toolkit.split.fast_json import JsonFile, JsonWalk, LazyRecords


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
    values,
    st.integers(1, 60),
    st.sampled_from([None, 1]),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " : ")]),
)
def test_every_record_is_found(
    items: list[dict], other: Any, chunk_bytes: int, indent: int | None, separators: tuple[str, str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.json"
        path.write_text(
            json.dumps(
                {"before": other, "items": items, "after": other}, indent=indent, separators=separators
            )
        )
        file = JsonFile(path)
        walk, members, found, ids = JsonWalk(file), {}, [], []
        for name in walk.names():
            if name != "items":
                members[name] = walk.value()
                continue
            for chunk in walk.records(Header, fail, chunk_bytes):
                found += list(LazyRecords(file, chunk.starts, chunk.ends, dict))
                ids += [header.id for header in chunk.headers]
    assert members == {"before": other, "after": other}
    assert found == items
    assert ids == [item["id"] for item in items]


def fail(index: int, problem: str) -> None:
    raise AssertionError(f"{index}: {problem}")


def test_malformed_records_are_numbered_through_all_chunks(tmp_path: Path) -> None:
    items: list[Any] = [{"id": index, "padding": "x" * 50} for index in range(20)]
    items[3], items[11], items[19] = {"padding": "y"}, {"id": "11"}, 5
    (tmp_path / "x.json").write_text(json.dumps({"items": items}))
    found: list[int] = []
    walk = JsonWalk(JsonFile(tmp_path / "x.json"))
    chunks = [
        chunk
        for _ in walk.names()
        for chunk in walk.records(Header, lambda index, _: found.append(index), chunk_bytes=200)
    ]
    assert len(chunks) > 3
    assert found == [3, 11, 19]
    assert [header.id for chunk in chunks for header in chunk.headers] == [
        index for index in range(20) if index not in found
    ]


def test_a_chunk_ends_outside_nested_arrays_however_long(tmp_path: Path) -> None:
    parts = [{"a": index} for index in range(5000)]
    items = [{"id": index, "parts": parts if index == 1 else []} for index in range(4)]
    (tmp_path / "x.json").write_text(json.dumps({"items": items, "after": [1]}))
    walk = JsonWalk(JsonFile(tmp_path / "x.json"))
    ids: list[int] = []
    for name in walk.names():
        if name == "items":
            for chunk in walk.records(Header, fail, chunk_bytes=64):
                ids += [header.id for header in chunk.headers]
        else:
            assert walk.value() == [1]
    assert ids == [0, 1, 2, 3]
