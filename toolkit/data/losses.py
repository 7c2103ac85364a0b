"""What a target format cannot hold: fields are counted, changed and lost objects listed one by one."""

from __future__ import annotations

from collections import Counter

from toolkit.report import Report
from toolkit.split import Annotation, ImageRecord


class Losses:
    """Notes what one conversion leaves behind.

    Args:
        report: Where it is listed.
        target: The name of the format, for the reasons.
    """

    def __init__(self, report: Report, target: str):
        self._report, self._target = report, target
        self._fields: Counter[str] = Counter()

    def of(self, record: ImageRecord, annotation: Annotation, reason: str) -> None:
        """List one annotation that is changed or left out."""
        self._report.add_skipped(f"{record.file_name}: annotation {annotation.id}", reason)

    def fields_of_image(self, record: ImageRecord) -> None:
        """Count the fields of an image record that a format with nothing but pixels and names drops."""
        named = {"license": record.license, "source": record.source, "regions": record.regions}
        self._fields.update(f"images.{name}" for name, value in named.items() if value is not None)
        self._fields.update(f"images.{name}" for name in record.extra)

    def fields_of_annotation(self, annotation: Annotation) -> None:
        """Count the fields of an annotation that a format with nothing but masks and classes drops."""
        named = {"group_id": annotation.group_id, "origin": annotation.origin}
        self._fields.update(f"annotations.{name}" for name, value in named.items() if value is not None)
        self._fields.update(f"annotations.{name}" for name in annotation.extra)

    def finish(self) -> None:
        """List the fields that were dropped, each with the number of records that had it."""
        for name, count in sorted(self._fields.items()):
            self._report.add_skipped(name, f"{self._target} has no such field; dropped from {count} records")
        self._fields.clear()
