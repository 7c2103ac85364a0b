"""Work in several processes: every item once, whatever happens to them."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import pytest

from toolkit.errors import InputError
from toolkit.processes import RESTARTS, Processes

begun: list[str] = []


def nothing() -> None:
    """What needs no start."""


def begin(name: str) -> None:
    begun.append(name)


def square(number: int) -> tuple[int, int, str]:
    return number**2, os.getpid(), "".join(begun)


def dies_once(folder: Path, number: int) -> int:
    """The process of the fifth item is gone before it answers, the first time."""
    mark = folder / str(number)
    if number == 5 and not mark.exists():
        mark.touch()
        os._exit(1)
    return number


def dies(number: int) -> int:
    os._exit(1)


def refuse(number: int) -> int:
    raise InputError(f"item {number}: no number")


@pytest.mark.slow
def test_every_item_is_worked_on_once_in_processes_that_began_once() -> None:
    results = list(Processes(square, partial(begin, "a")).run(range(20), 2))
    assert sorted(result for result, _, _ in results) == [number**2 for number in range(20)]
    assert os.getpid() not in {pid for _, pid, _ in results}
    assert {mark for _, _, mark in results} == {"a"}


@pytest.mark.slow
def test_what_a_dead_process_had_under_way_is_made_again(tmp_path: Path) -> None:
    results = list(Processes(partial(dies_once, tmp_path), nothing).run(range(30), 2))
    assert (tmp_path / "5").exists()
    assert Counter(results) == Counter(range(30))


@pytest.mark.slow
def test_processes_that_keep_dying_end_it() -> None:
    with pytest.raises(BrokenProcessPool):
        list(Processes(dies, nothing).run(range(RESTARTS + 2), 1))


@pytest.mark.slow
def test_an_error_of_an_item_ends_it() -> None:
    with pytest.raises(InputError, match="item 3: no number"):
        list(Processes(refuse, nothing).run([3], 2))
