"""Progress bars on standard error, shown only to a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")


def track(items: Iterable[T], task: str, total: int | None = None) -> Iterator[T]:
    """Iterate over `items` under a progress bar named `task`; silent where standard error is no terminal.

    Args:
        items: what to iterate over.
        task: what the bar is called.
        total: how many items there are; their own count by default, where they have one.
    """
    from rich.console import Console
    from rich.progress import Progress

    count = len(items) if total is None and isinstance(items, Sized) else total
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(items, total=count, description=task)
