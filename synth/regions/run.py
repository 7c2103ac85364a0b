"""Find the regions of photos from a command: here or on a cluster, with progress and a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synth.progress import progress
from synth.regions.cache import extract_missing, run_here, run_on_ray
from synth.regions.noted import note_extractor
from toolkit.report import Report
from toolkit.split import ImageRecord, Split


def extract_regions(
    split: Split,
    records: Sequence[ImageRecord],
    folder: Path,
    report: Report,
    *,
    model: str | None = None,
    device: str | None = None,
    batch: int = 4,
    ray: str | None = None,
) -> int:
    """Find and keep the regions of photos.

    Args:
        split: the photos' split.
        records: the photos.
        folder: where the index PNGs go.
        report: where photos that can't be read, and labels without a region, are listed.
        model: a folder or a hub id; the bundled extractor by default.
        device: of torch.
        batch: photos at a time.
        ray: address of a cluster to run on.

    Returns:
        How many maps were written.
    """
    if not records:
        return 0
    from synth.regions.extractor import RegionExtractor

    if ray is None:
        extractor = RegionExtractor.load(model, device)
        run = run_here(extractor.extract)
    else:
        from synth.build.cluster import connect

        module = connect(ray)
        extractor = RegionExtractor.load(model, "cpu")  # for its table of labels only
        run = run_on_ray(module, model, device)
    report.facts |= {
        "model": extractor.source,
        "labels": extractor.table(),
        "unmapped_labels": extractor.unmapped,
    }
    note_extractor(folder, extractor.source, extractor.table(), extractor.unmapped)
    with progress("finding regions", "photos") as (start, advance):
        start(0, len(records))

        def note(record: ImageRecord, fault: str | None) -> None:
            if fault is not None:
                report.add_skipped(record.file_name, fault)
            advance()

        return extract_missing(split, records, folder, run, batch, note)
