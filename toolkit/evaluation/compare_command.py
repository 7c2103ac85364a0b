"""`declutter eval compare`. Imports stay inside the command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Annotated

import typer

from toolkit.errors import InputError
from toolkit.evaluation.options import (
    Images,
    Jitter,
    Limit,
    Out,
    Seed,
    SplitPath,
    UnseenBy,
    load_system,
    read_measured,
)


def labelled(systems: str) -> dict[str, str]:
    """Part `a,b,label=c` into names or folders of systems by label.

    A name is its own label, a folder is called by its last part, or by the one before `final`.

    Raises:
        InputError: a part is empty, or two have one label.
    """
    found: dict[str, str] = {}
    for part in systems.split(","):
        given, equals, rest = (text.strip() for text in part.partition("="))
        name, label = (rest, given) if equals else (given, _label_of(given))
        if not name or not label:
            raise InputError(f"--systems {systems}: expected names or folders with commas between them")
        if label in (".", "..") or "/" in label:
            raise InputError(f"--systems: '{label}' is no label; expected the name of a folder")
        if label in found:
            raise InputError(f"--systems: two are called {label}; tell them apart with LABEL={name}")
        found[label] = name
    return found


def _label_of(name: str) -> str:
    parts: Sequence[str] = [part for part in PurePath(name).parts if part not in ("/", ".")]
    if len(parts) > 1 and parts[-1] == "final":  # what `declutter train` calls the weights of a finished run
        return parts[-2]
    return parts[-1] if parts else name


def compare(
    ctx: typer.Context,
    split: SplitPath,
    out: Out,
    systems: Annotated[
        str,
        typer.Option(
            metavar="A,B,…", help="Names or folders of weights, each as LABEL=NAME where that helps."
        ),
    ],
    images: Images = None,
    unseen_by: UnseenBy = None,
    limit: Limit = None,
    seed: Seed = 0,
    jitter: Jitter = 0.0,
    most: Annotated[int, typer.Option("--clicks", min=1, help="Clicks per object.")] = 20,
    positive_only: Annotated[
        bool, typer.Option(help="Click missed pixels only, never wrong ones (SimpSON, figure 5).")
    ] = False,
    ritm_nof: Annotated[
        bool, typer.Option("--ritm-nof", help="Count success with the last click as failure, as RITM does.")
    ] = False,
) -> None:
    """Several systems side by side: one click, click after click, siblings, time, size."""
    from toolkit.evaluation.compare import CompareSettings, run_compare

    names: dict[str, str] = labelled(systems)
    data = read_measured(split, images, unseen_by, out)
    settings = CompareSettings(limit, seed, jitter, most, positive_only, ritm_nof)
    loaded = {label: load_system(ctx, name) for label, name in names.items()}
    result = run_compare(data, loaded, Path(out), settings)
    typer.echo((out / "table.md").read_text(encoding="utf-8"))
    left = len(loaded) - result["systems"]
    tail = f"; {left} of the systems left out" if left else ""
    typer.echo(f"plot in {out / 'compare.png'}, what was left out in {out / 'report.json'}{tail}")
