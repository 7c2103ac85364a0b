"""`declutter data …`: the terminal side of the work on splits. Imports stay inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.errors import InputError

if TYPE_CHECKING:
    from toolkit.data.formats import Format
    from toolkit.report import Report
    from toolkit.split import Split

app = typer.Typer(
    no_args_is_help=True, help="Validate, describe, convert, merge, cut, group and browse splits."
)

FORMATS = "coco, lvis, yolo, imagefolder or index-png"
REPORT = "report.json"
# Problems printed in full; the report has them all.
SHOWN = 40

Source = Annotated[Path, typer.Argument(metavar="SPLIT", help="A split folder, or a COCO or LVIS JSON file.")]
Images = Annotated[Path | None, typer.Option("--images", help="Folder of the images, if not where usual.")]
Link = Annotated[bool, typer.Option("--link", help="Link images instead of copying them, where possible.")]
Seed = Annotated[int, typer.Option(help="Another seed, another choice.")]


@app.command()
def validate(
    source: Source,
    images: Images = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of report.json; runs/validate-NAME by default.")
    ] = None,
    quick: Annotated[
        bool, typer.Option(help="Read image headers only: truncated files go unnoticed.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Images to decode at a time.")] = 4,
) -> None:
    """Name every broken record and what is wrong with it; exit with 2 where there is one."""
    from collections import Counter

    from toolkit.data.validate import validate as find_problems
    from toolkit.files import write_json_atomic
    from toolkit.split import read_split
    from toolkit.split.reading import Malformed

    malformed: list[Malformed] = []
    split = read_split(source, images, malformed=malformed)
    problems = find_problems(split, malformed, decode=not quick, workers=workers)
    for problem in problems[:SHOWN]:
        typer.echo(f"{problem.kind}: {problem.record}: {problem.detail}")
    if len(problems) > SHOWN:
        typer.echo(f"… and {len(problems) - SHOWN} more")
    counts = dict(Counter(problem.kind for problem in problems).most_common())
    path = (out or Path("runs") / f"validate-{_name(source)}") / REPORT
    report = {
        "split": str(source),
        "images": len(split),
        "annotations": len(split.annotations),
        "problems": len(problems),
        "counts": counts,
        "records": [vars(problem) for problem in problems],
    }
    write_json_atomic(path, report)
    if problems:
        listed = ", ".join(f"{count} × {kind}" for kind, count in counts.items())
        raise InputError(f"{source}: {len(problems)} broken records ({listed}); all are named in {path}")
    typer.echo(
        f"{source}: {len(split)} images and {len(split.annotations)} annotations are sound; see {path}"
    )


@app.command()
def overlap(
    source: Annotated[Path, typer.Argument(help="A split, or any folder of photos.")],
    other: Annotated[
        Path, typer.Argument(help="Another split, or any folder of photos: what was trained on.")
    ],
    images: Images = None,
    least: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Least correlation of two thumbnails.")
    ] = 0.95,
    out: Annotated[
        Path | None, typer.Option(help="Folder of report.json; runs/overlap-NAME by default.")
    ] = None,
) -> None:
    """Name the photos of a split or folder that another data set nearly holds."""
    from toolkit.data.overlap import images_below, near_copies, overlap_rows
    from toolkit.report import Report

    if source.is_file() or (source / "annotations.json").is_file():
        split = _read(source, images)
        photos = [split.image_path(record) for record in split]
        names = [record.file_name for record in split]
    else:
        photos = images_below(images or source)
        names = [path.name for path in photos]
    if not photos:
        raise InputError(f"{source}: expected a split or a folder with images, found none")
    report = Report(command="data overlap", split=str(source), other=str(other), least=least)
    faults: list[tuple[Path, str]] = []
    rows = overlap_rows(names, near_copies(photos, other, least, faults))
    for path, reason in faults:
        report.add_skipped(str(path), reason)
    for row in rows[:SHOWN]:
        typer.echo(f"{row['photo']}: {row['similarity']:.3f} {row['other']}")
    if len(rows) > SHOWN:
        typer.echo(f"… and {len(rows) - SHOWN} more")
    report.facts |= {"photos": len(photos), "near_copies": rows}
    path = (out or Path("runs") / f"overlap-{_name(source)}") / REPORT
    report.write(path)
    typer.echo(
        f"{len(rows)} of {len(photos)} photos are nearly the same as one of {other}; all are in {path}"
    )


@app.command()
def stats(
    source: Source,
    images: Images = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the tables and plots; runs/stats-NAME by default.")
    ] = None,
) -> None:
    """Show tables and draw plots: sizes, instances and groups per image."""
    from rich.console import Console
    from rich.markdown import Markdown

    from toolkit.data.stats import figures, measure, summary, table
    from toolkit.report import write_result

    split = _read(source, images)
    measured = measure(split)
    out = out or Path("runs") / f"stats-{_name(source)}"
    text = table(measured)
    write_result(out, summary(measured), text, figures(measured))
    Console().print(Markdown(text))
    typer.echo(f"tables and plots: {out}")


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help=f"A data set: {FORMATS}; or COCO panoptic JSON.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    to: Annotated[str, typer.Option("--to", help=f"Format to write: {FORMATS}.")] = "coco",
    source_format: Annotated[
        str | None, typer.Option("--from", help="Format to read; found out by default.")
    ] = None,
    images: Images = None,
    tolerance: Annotated[
        float,
        typer.Option(min=0, help="Pixels that simplified outlines may stray (YOLO); 0 keeps every pixel."),
    ] = 0.0,
    link: Link = False,
) -> None:
    """Turn a data set into another format; what the format cannot hold is listed in report.json."""
    from toolkit.data.formats import read_any, write_any
    from toolkit.report import Report

    target, origin = _format(to, "--to"), None if source_format is None else _format(source_format, "--from")
    report = Report()
    split = read_any(source, report, origin, images)
    write_any(split, out, report, target, tolerance=tolerance, link=link)
    _finish(report, out, f"{len(split)} images, {len(split.annotations)} annotations as {target.value}")


@app.command()
def merge(
    sources: Annotated[list[Path], typer.Argument(help="The data sets to join, in order.")],
    out: Annotated[Path, typer.Option(help="Split folder to write.")],
    link: Link = False,
) -> None:
    """Join data sets into one split: ids anew, categories by name, clashing file names resolved."""
    from toolkit.data.formats import read_any
    from toolkit.data.merge import merge as join
    from toolkit.report import Report

    report = Report()
    splits = [read_any(source, report) for source in sources]
    join(splits, out, report, link=link)
    _finish(report, out, f"{sum(map(len, splits))} images from {len(splits)} data sets")


@app.command(name="split")
def cut(
    source: Source,
    out: Annotated[Path, typer.Option(help="Folder to write the parts into.")],
    fractions: Annotated[str, typer.Option(help="Share of each part.")] = "train=0.8,val=0.2",
    seed: Seed = 0,
    images: Images = None,
    link: Link = False,
) -> None:
    """Cut a split into parts, as train and val; an image goes into one of them, whole."""
    from toolkit.data.partition import partition
    from toolkit.report import Report

    shares = _fractions(fractions)
    split, report = _read(source, images), Report()
    partition(split, out, shares, seed, report, link=link)
    _finish(report, out, f"{len(split)} images into {', '.join(shares)}")


@app.command()
def mois(
    source: Source,
    out: Annotated[Path, typer.Option(help="Split folder to write.")],
    seed: Seed = 0,
    most_clicks: Annotated[int, typer.Option(min=1, help="Clicks of an exemplar, at most.")] = 20,
    apart: Annotated[float, typer.Option(min=0, help="Least distance of two clicks, pixels.")] = 40.0,
    margin: Annotated[float, typer.Option(min=0, help="Least distance to the border, pixels.")] = 20.0,
    images: Images = None,
    link: Link = False,
) -> None:
    """Build a multiple-object split: like objects grouped, one exemplar each, clicked (iCMFormer++)."""
    from toolkit.data.mois import build_mois
    from toolkit.data.mois_clicks import ClickRules
    from toolkit.report import Report

    rules = ClickRules(most_clicks, apart, margin, reach=margin + ClickRules.reach - ClickRules.margin)
    report = Report(command="data mois", source=str(source), seed=seed)
    counts = build_mois(_read(source, images), out, seed, report, rules=rules, link=link)
    _finish(
        report, out, f"{counts['groups']} groups of {counts['objects']} objects in {counts['images']} images"
    )


@app.command()
def browse(
    source: Source,
    out: Annotated[Path, typer.Option(help="Folder of the page index.html.")],
    limit: Annotated[int, typer.Option(min=0, help="Photos to show, chosen at random; 0 shows all.")] = 200,
    seed: Seed = 0,
    side: Annotated[int, typer.Option(min=32, help="Longest side of a thumbnail, pixels.")] = 320,
    images: Images = None,
) -> None:
    """Draw a contact sheet: one HTML file with photos and masks, siblings in one colour."""
    import numpy as np

    from toolkit.data.browse import browse as draw
    from toolkit.report import Report

    split, report = _read(source, images), Report()
    shown = split
    if 0 < limit < len(split):
        shown = split.subset(np.sort(np.random.default_rng(seed).choice(len(split), limit, replace=False)))
        typer.echo(f"showing {limit} of {len(split)} photos; --limit 0 shows all")
    page = out / "index.html"
    draw(shown, page, report, side=side)
    _finish(report, out, str(page))


def _read(source: Path, images: Path | None) -> Split:
    from toolkit.split import read_split

    return read_split(source, images)


def _name(source: Path) -> str:
    return source.resolve().stem


def _format(name: str, option: str) -> Format:
    from toolkit.data.formats import Format

    try:
        return Format(name)
    except ValueError as error:
        raise InputError(f"{option} {name}: not a format; use {FORMATS}") from error


def _fractions(text: str) -> dict[str, float]:
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, equals, share = part.partition("=")
        name = name.strip()
        try:
            shares[name] = float(share)
        except ValueError as error:
            raise InputError(
                f"--fractions {text}: expected name=share pairs, as train=0.8,val=0.2"
            ) from error
        if not equals or not name or name in (".", "..") or "/" in name or "\\" in name:
            raise InputError(f"--fractions {text}: {name!r} cannot be the name of a folder")
    return shares


def _finish(report: Report, out: Path, done: str) -> None:
    report.write(out / REPORT)
    left_out = len(report.skipped)
    note = f"; {left_out} things changed or left out, listed in {out / REPORT}" if left_out else ""
    typer.echo(f"done: {done}{note}")
