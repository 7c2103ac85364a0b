"""Write a split as COCO instances JSON: the house format, which holds everything."""

from __future__ import annotations

from pathlib import Path

from toolkit.data.copying import copy_images
from toolkit.report import Report
from toolkit.split import Split, SplitWriter


def write_coco(split: Split, out: Path, report: Report, *, link: bool = False) -> None:
    """Write a split folder with all records and fields of `split`.

    Args:
        split: What to write.
        out: The folder; made where missing.
        report: Where images without a file are listed.
        link: Whether to link images instead of copying them.

    Raises:
        InputError: The folder holds a finished split, or two records share an id.
    """
    with SplitWriter(
        out,
        categories=split.categories,
        info=split.info,
        licenses=split.licenses,
        card=card_of(split),
        link=link,
    ) as writer:
        copy_images(split, writer, report, "writing COCO")


def card_of(split: Split) -> dict[str, object]:
    """Return the card of a converted split: that of its source, which it names."""
    return {**split.card, "made_by": "declutter data convert", "made_from": split.root.resolve().name}
