"""The house as DESIGN draws it: what lies at the top, and how large a room may grow."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("toolkit", "models", "synth", "annotation")
TOP = {
    *PACKAGES,
    "notebooks",
    "tests",
    "pyproject.toml",
    "README.md",
    "Makefile",
    "LICENSE",
    "constraints.txt",
}
MOST_LINES = 420  # "about 400"


def tracked_files() -> list[str]:
    """Paths under version control, or skip where this is no checkout."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode or not listed.stdout:
        pytest.skip("not a git checkout")
    return listed.stdout.splitlines()


def test_nothing_else_lies_at_the_top() -> None:
    top = {path.split("/")[0] for path in tracked_files()}
    assert {name for name in top if not name.startswith(".")} <= TOP


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_typed_and_their_rooms_small(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
    for path in (ROOT / package).rglob("*.py"):
        lines = path.read_text(encoding="utf-8").count("\n")
        assert lines <= MOST_LINES, f"{path.relative_to(ROOT)} has {lines} lines: split it by subject"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_with_code_is_a_package(package: str) -> None:
    # setuptools leaves out folders without __init__.py, and only an installed wheel would tell.
    for path in (ROOT / package).rglob("*.py"):
        assert (path.parent / "__init__.py").is_file(), f"{path.parent.relative_to(ROOT)} has no __init__.py"
