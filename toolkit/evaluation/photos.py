"""The loop that all protocols share: every photo once, errors counted, finished work kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.data.progress import track
from toolkit.errors import InputError, UnsupportedSystem
from toolkit.evaluation.records import RecordFile, key_of
from toolkit.evaluation.truth import PhotoTruth, read_truth
from toolkit.report import Report
from toolkit.split import Split
from toolkit.systems import Scene, System, fingerprint_of

logger = logging.getLogger(__name__)

# How a reason in report.json begins that is about the system and not about the split.
SYSTEM_FAILED = "the system failed"

# What a system that breaks on one photo raises; anything else is a mistake in its program.
_SYSTEM_ERRORS = (ArithmeticError, LookupError, MemoryError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Protocol:
    """How a photo is measured.

    Attributes:
        name: of the protocol, for reports.
        settings: whatever changes a photo's record, as JSON values.
        applies: whether a photo has anything to measure.
        measure: clicks on an encoded photo and returns its record, as JSON values.
        nothing_found: the record of a photo on which the system failed.
    """

    name: str
    settings: Mapping[str, Any]
    applies: Callable[[PhotoTruth], bool]
    measure: Callable[[Scene, PhotoTruth], dict[str, Any]]
    nothing_found: Callable[[PhotoTruth], dict[str, Any]]


def measure_with_report(
    protocol: Protocol,
    split: Split,
    system: System,
    out: Path,
    *,
    limit: int | None = None,
    seed: int = 0,
    **facts: Any,
) -> list[tuple[PhotoTruth, dict[str, Any]]]:
    """Do the same as `measure_photos`, and write `out/report.json` however it ends.

    Args:
        protocol: what to do with a photo.
        split: photos and annotations.
        system: what is measured.
        out: folder of the records and the report.
        limit: measure that many photos, drawn with `seed`.
        seed: of the draw.
        facts: what else the report should say.
    """
    report = Report(
        command=f"eval {protocol.name}",
        split=str(split.root),
        system=system.name,
        seed=seed,
        limit=limit,
        **facts,
    )
    try:
        return measure_photos(protocol, split, system, out, report, limit=limit, seed=seed)
    finally:
        report.write(out / "report.json")


def measure_photos(
    protocol: Protocol,
    split: Split,
    system: System,
    out: Path,
    report: Report,
    *,
    limit: int | None = None,
    seed: int = 0,
) -> list[tuple[PhotoTruth, dict[str, Any]]]:
    """Measure the photos of a split and return their truths and records, in the order of the split.

    Records are kept in `out/records.jsonl` under a key of the protocol, its settings, the system, the photo
    and its annotations; they are not computed again. A photo that cannot be opened is skipped. One on which
    the system fails counts as nothing found, and is tried again next time.

    Args:
        protocol: what to do with a photo.
        split: photos and annotations.
        system: what is measured.
        out: folder of the records.
        report: what was left out, and counts.
        limit: measure that many photos, drawn with `seed` (a higher limit keeps the ones of a lower).
        seed: of the draw.

    Raises:
        InputError: no photo could be measured.
    """
    records = RecordFile(out / "records.jsonl")
    truths = [truth for truth in _truths(split, report) if protocol.applies(truth)]
    report.facts |= {"images": len(split), "images_with_something_to_measure": len(truths)}
    if limit is not None and limit < len(truths):
        chosen = np.random.default_rng(seed).permutation(len(truths))[:limit]
        truths = [truths[index] for index in sorted(chosen)]
    results: list[tuple[PhotoTruth, dict[str, Any]]] = []
    counts = {"measured_now": 0, "from_records": 0, "unreadable_images": 0, "failed_images": 0}
    settings = {"protocol": protocol.name, "system": fingerprint_of(system), **protocol.settings}
    for truth in track(truths, protocol.name):
        key = key_of(settings, _as_json(truth), _file_size(split, truth))
        record = records.get(key)
        if record is not None:
            counts["from_records"] += 1
            results.append((truth, record))
            continue
        image = _open(split, truth, report)
        if image is None:
            counts["unreadable_images"] += 1
            continue
        start = time.perf_counter()
        try:
            scene = system.encode(image)
            encoded = time.perf_counter()
            measured = protocol.measure(scene, truth)
        except UnsupportedSystem:
            raise
        except _SYSTEM_ERRORS as error:
            counts["failed_images"] += 1
            reason = f"{SYSTEM_FAILED}: {type(error).__name__}: {error}"
            report.add_skipped(truth.record.file_name, f"{reason}; counted as nothing found")
            logger.debug("%s", truth.record.file_name, exc_info=error)
            results.append((truth, protocol.nothing_found(truth)))
            continue
        measured["seconds"] = round(time.perf_counter() - start, 4)
        measured["encode_seconds"] = round(encoded - start, 5)
        counts["measured_now"] += 1
        results.append((truth, records.add(key, measured)))
    report.facts |= {**counts, "median_seconds_per_photo": _median_seconds(results)}
    _require_results(split, results, counts, report)
    return results


def _truths(split: Split, report: Report) -> list[PhotoTruth]:
    return [read_truth(split, record, report) for record in split]


def _open(split: Split, truth: PhotoTruth, report: Report) -> np.ndarray | None:
    """Return the photo; None, with the reason in the report, where it cannot be used."""
    record = truth.record
    try:
        image = split.open_image(record)
    except (InputError, OSError) as error:
        report.add_skipped(record.file_name, str(error))
        return None
    if image.shape[:2] != (record.height, record.width):
        size = f"{image.shape[1]} × {image.shape[0]}"
        reason = f"the photo is {size} pixels, its record says {record.width} × {record.height}"
        report.add_skipped(record.file_name, reason)
        return None
    return image


def _file_size(split: Split, truth: PhotoTruth) -> int | None:
    """Return the bytes of the photo's file, which tell another photo of the same name; None without one."""
    try:
        return split.image_path(truth.record).stat().st_size
    except (InputError, OSError):
        return None


def _as_json(truth: PhotoTruth) -> list[Any]:
    objects: list[list[Any]] = [
        [found.id, found.rle, found.area, found.crowd, found.group]
        + ([] if found.ignore is None and found.exemplar is None else [found.ignore])
        + ([] if found.exemplar is None else [found.exemplar])
        for found in truth.objects
    ]
    return [truth.record.id, truth.record.file_name, objects]


def _median_seconds(results: list[tuple[PhotoTruth, dict[str, Any]]]) -> float | None:
    seconds = [record["seconds"] for _, record in results if "seconds" in record]
    return float(np.median(seconds)) if seconds else None


def _require_results(
    split: Split, results: list[tuple[PhotoTruth, dict[str, Any]]], counts: dict[str, int], report: Report
) -> None:
    first = f"; the first: {' — '.join(report.skipped[0])}" if report.skipped else ""
    if not results:
        raise InputError(f"{split.root}: no photo could be measured{first}")
    if counts["failed_images"] == len(results):
        raise InputError(f"{split.root}: the system failed on every photo{first}")
