"""What the commands of `declutter eval` share: options, how systems are found, the closing line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.errors import InputError, UnsupportedSystem

if TYPE_CHECKING:
    from toolkit.split import Split
    from toolkit.systems import System

SplitPath = Annotated[
    Path, typer.Argument(metavar="SPLIT", help="A split folder, or a COCO or LVIS JSON file.")
]
Out = Annotated[Path, typer.Option(help="Folder of result.json, table.md, the plot and report.json.")]
Name = Annotated[
    str | None, typer.Option("--system", help="A system's name, or a folder of weights; bundled by default.")
]
Images = Annotated[Path | None, typer.Option("--images", help="Folder of the images, if not where usual.")]
UnseenBy = Annotated[
    Path | None,
    typer.Option(
        "--unseen-by",
        help="Leave out photos that this split or folder of photos nearly holds: what was trained on.",
    ),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Measure this many photos only, drawn with --seed.")]
Seed = Annotated[int, typer.Option(min=0, help="Of every random choice.")]
Jitter = Annotated[
    float,
    typer.Option(min=0.0, help="Spread of clicks around the centre, as a fraction of the object's radius."),
]
MaxDetections = Annotated[
    int | None,
    typer.Option(
        "--max-detections", min=1, help="Masks that count for AP and AR; 100, or 300 for a split of LVIS."
    ),
]
Human = Annotated[bool, typer.Option(help="Click as far from the centre as people in a user study did.")]
Iterate = Annotated[bool, typer.Option("--ids/--no-ids", help="Propose and verify in rounds (IDS).")]
Verify = Annotated[bool, typer.Option("--pvm/--no-pvm", help="Verify what was proposed (PVM).")]


def load_system(ctx: typer.Context, name: str | None) -> System:
    """Return the system with this name, by the loader that the composition root put into the context.

    Raises:
        InputError: there is no such system.
    """
    loader: Callable[[str | None], System] | None = None
    if isinstance(ctx.obj, Mapping):
        loader = ctx.obj.get("load_system")
    if loader is None:
        raise InputError("--system: no systems are installed here; run the `declutter` command")
    return loader(name)


def read_measured(split: Path, images: Path | None, unseen_by: Path | None, out: Path) -> Split:
    """Open what is to be measured, without the photos that a folder nearly holds.

    Args:
        split: a split's folder or file.
        images: folder of its images, if not where usual.
        unseen_by: photos that the systems may have learned from; None leaves nothing out.
        out: takes left_out.json, which names what was left out.
    """
    from toolkit.split import read_split

    return leave_out(read_split(split, images), unseen_by, out)


def leave_out(split: Split, unseen_by: Path | None, out: Path) -> Split:
    """Leave out the photos of an open split that a folder nearly holds; see `read_measured`."""
    listed = out / "left_out.json"
    if unseen_by is None:
        if listed.is_file():
            listed.unlink()  # of a run before, which measured fewer photos
        return split
    from toolkit.data.overlap import overlap_rows, without_near_copies
    from toolkit.files import write_json_atomic

    kept, copies = without_near_copies(split, unseen_by)
    rows = overlap_rows([record.file_name for record in split], copies)
    write_json_atomic(listed, {"unseen_by": str(unseen_by), "near_copies": rows})
    held = f"{len(rows)} of {len(split)} photos left out, which {unseen_by} nearly holds"
    typer.echo(f"{held}; see {listed}", err=True)
    return kept


def switched(system: System, iterate: bool, verify: bool) -> System:
    """Return the system with IDS or PVM off, where asked.

    Raises:
        UnsupportedSystem: it has neither.
    """
    if iterate and verify:
        return system
    from toolkit.systems import VariableSystem

    if not isinstance(system, VariableSystem):
        raise UnsupportedSystem(f"{system.name}: has no IDS or PVM; leave --no-ids, --no-pvm out")
    return system.with_selection(iterate=iterate, verify=verify)


def say(result: Mapping[str, Any], keys: tuple[str, ...], out: Path) -> None:
    """Print the main figures of a result, and where the rest is."""
    report = out / "report.json"
    figures = ", ".join(f"{key} {_text(result[key])}" for key in keys)
    typer.echo(f"{result['system']}: {figures}; table in {out / 'table.md'}, what was left out in {report}")


def _text(value: float | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
