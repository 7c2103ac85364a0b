"""Turn a finished journal into a split: annotations, card, report, contact sheet."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from synth.build.job import Job
from synth.build.journal import Journal, image_name
from synth.build.workshop import Workshop
from synth.regions.noted import noted_extractors, unmapped_labels
from toolkit.drawing import contact_sheet, draw_overlay
from toolkit.errors import InputError
from toolkit.image import save_image
from toolkit.masks import mask_box
from toolkit.report import Report
from toolkit.selection import Instance
from toolkit.split import Split, SplitWriter, read_split

PREVIEW = "preview.jpg"
PREVIEWED = 40
_NOT_MADE = "not made: no photo that was tried took an object"


def assemble(root: Path, job: Job, workshop: Workshop, journal: Journal, published: dict[str, Any]) -> Split:
    """Write `annotations.json`, `card.yaml` and `report.json` of a finished build.

    Args:
        root: the split folder.
        job: the build.
        workshop: its sources.
        journal: what was made.
        published: figures of the published set that the preset follows, for the report.

    Raises:
        InputError: not a single image could be made.
    """
    totals, facts = _Totals(), {"command": "synth build", "seed": job.seed, "wanted": job.count}
    if job.regions is not None and (found := noted_extractors(Path(job.regions))):
        facts |= {"region_extractors": sorted(found), "unmapped_labels": unmapped_labels(Path(job.regions))}
    card = {"made_by": "declutter synth build", **workshop.identity()}
    writer = SplitWriter(
        root,
        categories=workshop.categories,
        info={"description": "synthetic: objects pasted into photos, see card.yaml"},
        card=card,
        overwrite=True,
    )
    with writer:
        for line in journal.in_order():
            totals.add(line)
            if not line["made"]:
                continue
            name = image_name(line["index"])
            fields = {**line["image"], "id": line["index"] + 1, "file_name": name}
            writer.add_image(root / "images" / name, line["annotations"], **fields)
        report = totals.report(facts, published, workshop)
        if totals.images == 0:
            report.write(root / "report.json")
            raise InputError(
                f"{root}: nothing could be placed in any photo: {totals.main_reason()}; see report.json"
            )
        writer.card.update(totals.card())
        report.write(root / "report.json")  # before the annotations, which say that all is done
    return read_split(root)


class _Totals:
    """What adds up over the images of a build."""

    def __init__(self) -> None:
        self.images = self.real = self.pasted = 0
        self.left_out: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.licences: Counter[str] = Counter()
        self.blends: Counter[str] = Counter()
        self.regions: Counter[str] = Counter()
        self.photos: set[str] = set()
        self.failed = 0
        self.skipped: dict[tuple[str, str], int] = {}

    def add(self, line: dict[str, Any]) -> None:
        self.left_out.update(line["left_out"])
        self.refused.update(line["refused"])
        for item, reason in line["skipped"]:
            self.skipped[item, reason] = self.skipped.get((item, reason), 0) + 1
        if not line["made"]:
            self.failed += 1
            self.skipped[image_name(line["index"]), _NOT_MADE] = 1
            return
        self.images += 1
        self.photos.add(line["image"]["photo"])
        self.blends[line["image"]["blend"]] += 1
        self.licences.update(line["image"]["donor_licenses"])
        for annotation in line["annotations"]:
            origin = annotation["origin"]
            if origin["kind"] == "pasted":
                self.pasted += 1
                self.regions[origin.get("region", "unknown")] += 1
            else:
                self.real += 1

    def card(self) -> dict[str, Any]:
        return {
            "instances": {"all": self.real + self.pasted, "real": self.real, "pasted": self.pasted},
            "photos_used": len(self.photos),
            "pasted_by_region": _sorted(self.regions),
            "blends": _sorted(self.blends),
            "donor_licences": _sorted(self.licences),
        }

    def report(self, facts: dict[str, Any], published: dict[str, Any], workshop: Workshop) -> Report:
        every = self.real + self.pasted
        refused = Counter({} if workshop.bank is None else workshop.index.refused)
        report = Report(
            **facts,
            made=self.images,
            instances_per_image=self._per_image(every),
            pasted_per_image=self._per_image(self.pasted),
            **self.card(),
            left_out=_sorted(self.left_out),
            donors=0 if workshop.bank is None else len(workshop.index),
            donors_ruled_out_by_their_records=_sorted(refused),
            donors_refused_when_opened=_sorted(self.refused),
            **({"published": published} if published else {}),
        )
        for (item, reason), times in sorted(self.skipped.items()):
            report.add_skipped(item, reason if times == 1 else f"{reason} ({times} times)")
        return report

    def _per_image(self, count: int) -> float | None:
        return round(count / self.images, 2) if self.images else None

    def main_reason(self) -> str:
        """What stopped most photos; only their own reasons count, not that images could not be made."""
        reasons: Counter[str] = Counter()
        for (_, reason), times in self.skipped.items():
            if reason != _NOT_MADE:
                reasons[reason.removeprefix("nothing could be placed: ")] += times
        return reasons.most_common(1)[0][0] if reasons else "no photos"


def _sorted(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def write_preview(split: Split, path: Path, count: int = PREVIEWED) -> None:
    """Write a contact sheet of a split's first images, masks drawn, groups coloured."""
    sheet = []
    for record in split.images[:count]:
        image = split.open_image(record)
        instances = []
        for annotation in split.annotations_of(record.id):
            mask = annotation.mask(record.height, record.width)
            instances.append(Instance(mask, mask_box(mask), 1.0, group=annotation.group_id))
        sheet += [image, draw_overlay(image, instances)]
    save_image(path, contact_sheet(sheet, columns=8, cell=300))
