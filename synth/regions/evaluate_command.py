"""`declutter eval regions`: how well regions are found, on photos whose regions are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.evaluation.options import UnseenBy, leave_out


def regions(
    split: Annotated[Path, typer.Argument(help="Split with maps of regions, or a folder of scenes.")],
    out: Annotated[Path, typer.Option(help="Folder of the result.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "--system", help="Mask2Former: a folder or hub id; the bundled one by default."
        ),
    ] = None,
    unseen_by: UnseenBy = None,
    device: Annotated[str | None, typer.Option(help="Of torch: cpu, cuda.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Photos at a time.")] = 4,
) -> None:
    """Intersection over union per region, their mean, and pixel accuracy."""
    from synth.photos import read_photos
    from synth.regions.evaluation import count_regions, evaluate_regions, plot_regions, region_table
    from synth.regions.extractor import RegionExtractor
    from toolkit.report import Report, write_result

    photos = leave_out(read_photos(split), unseen_by, out)
    extractor = RegionExtractor.load(model, device)
    report = Report(command="eval regions", model=extractor.source, unmapped_labels=extractor.unmapped)
    result = evaluate_regions(count_regions(extractor.extract, photos, report, batch))
    write_result(out, result, region_table(result), {"regions": plot_regions(result)})
    report.write(out / "report.json")
    typer.echo(region_table(result))
