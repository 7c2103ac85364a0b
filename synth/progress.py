"""Progress on standard error: a bar with rate and remaining time for a person, silence for a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(title: str, unit: str) -> Iterator[tuple[Callable[[int, int], None], Callable[[], None]]]:
    """Show how far a run is.

    Args:
        title: what is being done.
        unit: what is counted, in the plural.

    Yields:
        Two functions: one to be told how much is done already and how much there is, one to be called per
            item.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None, rate="")

        def start(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        def advance() -> None:
            speed = bar.tasks[0].speed
            bar.update(task, advance=1, rate="" if speed is None else f"{speed:.1f} {unit}/s")

        yield start, advance
