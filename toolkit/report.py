"""What a run leaves for its reader: what was left out (`report.json`), what was found, a table and plots."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.files import write_bytes_atomic, write_json_atomic, write_text_atomic
from toolkit.image import save_image

_DOTS_PER_INCH = 120


class Report:
    """Collects what a run left out or changed, and why, so that nothing is skipped in silence.

    Args:
        facts: what else the report should say, such as the command, the seed and counts.
    """

    def __init__(self, **facts: Any) -> None:
        self.facts = dict(facts)
        self._skipped: list[tuple[str, str]] = []

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """The (item, reason) pairs noted so far, in order."""
        return tuple(self._skipped)

    def add_skipped(self, item: object, reason: str) -> None:
        """Note one thing that was left out.

        Args:
            item: what it is: a file, a record, a field.
            reason: why, in one sentence.
        """
        self._skipped.append((str(item), reason))

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the report as JSON: the facts, `skipped_count`, and `skipped` with `item` and `reason` each.

        Args:
            path: of the file; in a folder that exists, the file is called report.json.

        Raises:
            InputError: the place cannot be written to.
        """
        target = Path(path)
        listed = [{"item": item, "reason": reason} for item, reason in self._skipped]
        write_json_atomic(
            target / "report.json" if target.is_dir() else target,
            {**self.facts, "skipped_count": len(listed), "skipped": listed},
        )


def write_result(
    folder: str | os.PathLike[str],
    result: Mapping[str, Any],
    table_md: str,
    figures: Mapping[str, Any] | None = None,
) -> None:
    """Write what an evaluation found: `result.json`, `table.md` and a PNG per figure.

    Args:
        folder: made where missing.
        result: flat: names to numbers, texts or None; NaN becomes null.
        table_md: a Markdown table.
        figures: file names without suffix, to matplotlib figures, image arrays, or the bytes of a PNG.

    Raises:
        InputError: the folder cannot be written to.
    """
    root = Path(folder)
    write_json_atomic(root / "result.json", result)
    write_text_atomic(root / "table.md", table_md.rstrip("\n") + "\n")
    for name, figure in (figures or {}).items():
        path = root / f"{name}.png"
        if isinstance(figure, bytes):
            write_bytes_atomic(path, figure)
        elif isinstance(figure, np.ndarray):
            save_image(path, figure)
        else:
            buffer = io.BytesIO()
            # Without the version of matplotlib in it, the same figure gives the same bytes.
            figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
            write_bytes_atomic(path, buffer.getvalue())
