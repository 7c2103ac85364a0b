"""`declutter prelabel`: proposals without a click, as a split and as Label Studio tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.errors import InputError

if TYPE_CHECKING:
    from annotation.studio.project import Material
    from toolkit.report import Report

JOURNAL = "prelabel.jsonl"
TASKS = "tasks.json"
CATEGORY = "Distractor"


def prelabel(
    ctx: typer.Context,
    photos: Annotated[Path, typer.Argument(metavar="PHOTOS|SPLIT", help="A folder of photos, or a split.")],
    out: Annotated[Path, typer.Option(help="The split folder to write; tasks.json goes there too.")],
    system: Annotated[
        str | None,
        typer.Option("--system", help="A system's name, or a folder of weights; bundled by default."),
    ] = None,
    max_regions: Annotated[int, typer.Option(min=1, help="Most masks per photo, the surest first.")] = 200,
    min_score: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Less sure proposals are left out.")
    ] = 0.0,
    min_pixels: Annotated[int, typer.Option(min=1, help="Smaller masks are left out.")] = 9,
    link: Annotated[
        str, typer.Option(help="Name of the photo folder below Label Studio's document root, for tasks.json.")
    ] = "photos",
) -> None:
    """Propose and group selections with no click, offline.

    Run again after a stop, it goes on with the photos that are missing.
    """
    from rich.progress import Progress

    from annotation.studio.project import read_material
    from annotation.systems import load_system, version_of
    from toolkit.report import Report

    material = read_material(photos)
    if (out / "annotations.json").exists():
        raise InputError(f"{out}: holds a finished split already; choose another folder or remove it")
    loader = ctx.obj.get("load_system") if isinstance(ctx.obj, dict) else None
    loaded = load_system(system, loader)
    version = version_of(loaded)
    report = Report(command="prelabel", system=version)
    settings = {
        "version": version,
        "max_regions": max_regions,
        "min_score": min_score,
        "min_pixels": min_pixels,
    }
    names = photo_names(material, report)
    with Progress() as progress:
        bar = progress.add_task("pre-labels", total=len(names))
        journal = Journal(out / JOURNAL, settings)
        for name in names:
            if name not in journal.done:
                journal.add(name, propose_for(loaded, material.photos / name, settings))
            progress.advance(bar)
    found = write_results(journal, material, out, link, report)
    report.facts.update(photos=len(names), masks=found)
    report.write(out)
    typer.echo(
        f"{out}: {found} masks on {len(names)} photos, {len(report.skipped)} left out; "
        f"for Label Studio: {out / TASKS}"
    )


def photo_names(material: Material, report: Report) -> list[str]:
    """The photos to work on, by path below their folder."""
    from annotation.importing import find_photos

    if material.split is None:
        return find_photos(material.photos, report)
    return [record.file_name for record in material.split]


def propose_for(system: Any, photo: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What is proposed on one photo, ready for the journal; a photo that cannot be used says why."""
    from annotation.proposals import propose
    from annotation.regions import without_specks
    from toolkit.image import open_image
    from toolkit.masks import mask_to_rle

    try:
        image = open_image(photo)
    except InputError as error:
        return {"problem": str(error)}
    found: list[dict[str, Any]] = []
    for one in propose(system.encode(image)):
        mask = without_specks(one.mask, settings["min_pixels"])
        if mask is not None and one.score >= settings["min_score"]:
            found.append({"rle": mask_to_rle(mask), "score": round(float(one.score), 4), "group": one.group})
    surplus = max(0, len(found) - settings["max_regions"])
    return {"size": list(image.shape[:2]), "found": found[: settings["max_regions"]], "surplus": surplus}


class Journal:
    """What has been proposed so far, a line for each photo, so that a stopped run goes on.

    Args:
        path: of the file.
        settings: of the run; lines of other settings are not taken over.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self._path = path
        self.done: dict[str, dict[str, Any]] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        except OSError as error:
            raise InputError(f"{path}: cannot be used ({error.strerror}); choose another folder") from error
        if lines and _parsed(lines[0]) == {"settings": dict(settings)}:
            for line in lines[1:]:
                entry = _parsed(line)
                if entry is not None:
                    self.done[entry.pop("photo")] = entry
        with path.open("w", encoding="utf-8") as file:
            file.write(json.dumps({"settings": dict(settings)}) + "\n")
            for name, entry in self.done.items():
                file.write(json.dumps({"photo": name, **entry}) + "\n")

    def add(self, photo: str, entry: dict[str, Any]) -> None:
        """Note what was proposed on a photo, at once on the disk."""
        self.done[photo] = entry
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"photo": photo, **entry}) + "\n")

    def remove(self) -> None:
        """Forget the run: it is finished."""
        self._path.unlink(missing_ok=True)


def write_results(journal: Journal, material: Material, out: Path, link: str, report: Report) -> int:
    """Write the split and the tasks; returns how many masks there are."""
    from annotation.importing import local_address, split_label_config, split_tasks
    from annotation.label_config import parse_label_config
    from toolkit.files import write_json_atomic, write_text_atomic
    from toolkit.split import Annotation, SplitWriter, read_split

    count = 0
    card = {"made_by": "declutter prelabel", "from": str(material.photos), "system": report.facts["system"]}
    known = {record.file_name: record for record in material.split or ()}
    with SplitWriter(out, categories=[{"id": 1, "name": CATEGORY}], card=card, link=True) as writer:
        for name, entry in journal.done.items():
            if "problem" in entry:
                report.add_skipped(name, entry["problem"])
                continue
            if entry["surplus"]:
                report.add_skipped(name, f"{entry['surplus']} masks beyond --max-regions")
            height, width = entry["size"]
            annotations = [
                Annotation(
                    category_id=1,
                    segmentation=one["rle"],
                    group_id=one["group"],
                    extra={"score": one["score"]},
                )
                for one in entry["found"]
            ]
            count += len(annotations)
            record = known.get(name)
            writer.add_image(
                material.photos / name,
                annotations,
                file_name=name,
                width=width,
                height=height,
                license=record.license if record else None,
                source=record.source if record else None,
            )
    split = read_split(out)
    config = split_label_config(split)
    tasks = split_tasks(
        split, parse_label_config(config), local_address(link), report, version=report.facts["system"]
    )
    write_json_atomic(out / TASKS, list(tasks), indent=None)
    write_text_atomic(out / "label_config.xml", config + "\n")
    journal.remove()
    return count


def _parsed(line: str) -> dict[str, Any] | None:
    """A line of the journal; None for the half line that a killed run leaves."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
