"""A build from start to finish: go on from what is there, make what is missing, assemble the split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from synth.build.assemble import PREVIEW, assemble, write_preview
from synth.build.job import Job
from synth.build.journal import Journal, difference
from synth.build.workshop import Made, Workshop, open_workshop
from toolkit.errors import InputError
from toolkit.split import Split, read_split

CUTOUTS = "cutouts"

Engine = Callable[[Job, list[int]], Iterator[Made]]
"""Makes the images of the given numbers, in any order."""


def build(
    root: Path,
    job: Job,
    engine: Engine,
    *,
    preview: bool = False,
    published: dict[str, Any] | None = None,
    prepare: Callable[[Workshop], None] = lambda workshop: None,
    on_start: Callable[[int, int], None] = lambda done, total: None,
    on_image: Callable[[Made], None] = lambda made: None,
) -> Split:
    """Make a split, or go on making it.

    Images are written whole, and noted once they are; a run that is killed is continued by running it again,
    with the same bytes at the end.

    Args:
        root: the split folder.
        job: what to make.
        engine: how to make it.
        preview: whether to write a contact sheet of the first images.
        published: figures to hold the result against in the report.
        prepare: what to do before images are made, such as finding regions.
        on_start: told how many images there are already, and how many there will be.
        on_image: told of each image made.

    Raises:
        InputError: the folder holds something else, or nothing could be made.
    """
    workshop = open_workshop(job)
    identity = workshop.identity()
    finished = _finished(root, identity)
    journal = Journal(root, identity)
    if finished is None:
        with journal:
            prepare(workshop)
            on_start(len(journal.finished), job.count)
            missing = [index for index in range(job.count) if index not in journal.finished]
            for made in engine(job, missing):
                journal.add(made)
                on_image(made)
            finished = assemble(root, job, workshop, journal, published or {})
    if journal.folder.exists():
        journal.remove()
    if preview and not (root / PREVIEW).exists():
        write_preview(finished, root / PREVIEW)
    return finished


def _finished(root: Path, identity: dict[str, Any]) -> Split | None:
    """The split, where the same build finished it; None where there is none.

    Raises:
        InputError: another split is there.
    """
    if not (root / "annotations.json").exists():
        return None
    split = read_split(root)
    begun = {key: split.card.get(key) for key in identity}
    if begun["settings"] is None:
        raise InputError(f"{root} holds a split that `synth build` did not make; choose another --out")
    different = difference(begun, identity)
    if different:
        raise InputError(f"{root} holds a finished split, another one ({different}); choose another --out")
    return split
