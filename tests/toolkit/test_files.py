from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from toolkit.errors import InputError
from toolkit.files import (
    atomic_path,
    share_as_folder,
    write_bytes_atomic,
    write_json_atomic,
    write_text_atomic,
)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_bytes_and_text_are_written_as_given_and_folders_made(tmp_path):
    write_bytes_atomic(tmp_path / "a" / "b" / "x.bin", b"\x00\r\n\xff")
    write_text_atomic(tmp_path / "a" / "y.txt", "Grüße\n")
    assert (tmp_path / "a" / "b" / "x.bin").read_bytes() == b"\x00\r\n\xff"
    assert (tmp_path / "a" / "y.txt").read_bytes() == "Grüße\n".encode()
    assert names(tmp_path / "a") == ["b", "y.txt"]
    assert names(tmp_path / "a" / "b") == ["x.bin"]


def test_an_error_half_way_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")

    def write_half():
        with atomic_path(path) as temporary:
            temporary.write_bytes(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["weights.bin"]


def test_the_temporary_file_lies_beside_the_target_and_keeps_its_suffix(tmp_path):
    with atomic_path(tmp_path / "table.parquet") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".parquet"
        assert temporary.name != "table.parquet"
        temporary.write_bytes(b"1")
    assert names(tmp_path) == ["table.parquet"]


def test_the_longest_file_name_still_fits(tmp_path):
    path = tmp_path / ("n" * 250 + ".json")
    write_json_atomic(path, {})
    assert path.is_file()


def test_others_may_read_the_file_as_the_umask_says(tmp_path):
    before = os.umask(0o022)
    try:
        write_text_atomic(tmp_path / "x.txt", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "x.txt").stat().st_mode & 0o777 == 0o644


def test_who_may_use_a_folder_may_read_its_files(tmp_path):
    folder = tmp_path / "final"
    (folder / "inner").mkdir(parents=True)
    (folder / "weights").write_bytes(b"x")
    (folder / "weights").chmod(0o600)
    folder.chmod(0o755)
    share_as_folder(folder)
    assert (folder / "weights").stat().st_mode & 0o777 == 0o644
    folder.chmod(0o700)
    share_as_folder(folder)
    assert (folder / "weights").stat().st_mode & 0o777 == 0o600
    assert (folder / "inner").stat().st_mode & 0o777 == 0o755


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    write_text_atomic(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_json_holds_numpy_values_paths_and_null_for_what_is_not_finite(tmp_path):
    value = {
        "count": np.int64(3),
        "iou": np.float32(0.5),
        "none": float("nan"),
        "array": np.array([[1.0, np.inf]]),
        "path": Path("a/b"),
        "flag": np.bool_(True),
        "tuple": (1, "zwölf", None),
    }
    write_json_atomic(tmp_path / "r.json", value)
    text = (tmp_path / "r.json").read_text(encoding="utf-8")
    assert json.loads(text) == {
        "count": 3,
        "iou": 0.5,
        "none": None,
        "array": [[1.0, None]],
        "path": "a/b",
        "flag": True,
        "tuple": [1, "zwölf", None],
    }
    assert "zwölf" in text
    assert text.endswith("}\n")
    write_json_atomic(tmp_path / "one-line.json", {"a": [1, 2]}, indent=None)
    assert (tmp_path / "one-line.json").read_text() == '{"a": [1, 2]}\n'


def test_what_json_cannot_hold_is_refused_and_the_old_file_kept(tmp_path):
    write_json_atomic(tmp_path / "r.json", {"a": 1})
    with pytest.raises(TypeError, match="object"):
        write_json_atomic(tmp_path / "r.json", {"a": object()})
    assert json.loads((tmp_path / "r.json").read_text()) == {"a": 1}


def test_a_place_that_cannot_be_written_to_is_bad_input(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot make this folder"):
        write_text_atomic(tmp_path / "file" / "under.txt", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot write this file"):
        write_text_atomic(tmp_path / "folder", "x")
    assert names(tmp_path) == ["file", "folder"]
