"""`declutter synth`: regions, DistractorSyn splits, and one image step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Make DistractorSyn splits: regions, build, preview.")

Photos = Annotated[Path, typer.Option(help="Split (or folder of scenes) to paste into.")]
Donors = Annotated[
    Path | None,
    typer.Option(
        help="Split or COCO/LVIS JSON to copy objects from; none: the photos' own distractors only."
    ),
]
PhotosImages = Annotated[
    Path | None, typer.Option(help="Folder of the photos' files, where it is not found.")
]
DonorsImages = Annotated[
    Path | None, typer.Option(help="Folder of the donors' files, where it is not found.")
]
Preset = Annotated[str, typer.Option(help="default, paper-train or paper-val.")]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="YAML file of settings to change.")]
Assignments = Annotated[
    list[str], typer.Option("--set", metavar="NAME=VALUE", help="Change a setting: placement.coverage=0.1")
]
Seed = Annotated[int, typer.Option(min=0, help="Of every choice.")]
Regions = Annotated[
    Path | None,
    typer.Option(
        help="Folder of index PNGs for photos that have none; by default regions/ beside the photos."
    ),
]
Model = Annotated[
    str | None,
    typer.Option(help="Mask2Former for photos without regions: a folder or hub id; bundled by default."),
]
Device = Annotated[
    str | None, typer.Option(help="Of torch: cpu, cuda; the GPU when there is one by default.")
]
Batch = Annotated[int, typer.Option(min=1, help="Photos at a time in the network.")]
RayAddress = Annotated[
    str | None, typer.Option("--ray", metavar="auto|ADDRESS", help="Run on a Ray cluster.")
]


@app.command()
def regions(
    split: Annotated[Path, typer.Argument(help="Split or folder of scenes.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the PNGs; regions/ of the split by default.")
    ] = None,
    images: PhotosImages = None,
    model: Model = None,
    device: Device = None,
    batch: Batch = 4,
    ray: RayAddress = None,
) -> None:
    """Find the semantic regions of photos and keep them as index PNGs; given maps are used as they are."""
    from synth.photos import read_photos, regions_folder
    from synth.regions.cache import missing_regions
    from synth.regions.run import extract_regions
    from toolkit.errors import InputError
    from toolkit.report import Report

    source = read_photos(split, images)
    folder = out or regions_folder(source.root)
    if folder is None:
        raise InputError(
            f"{source.root} is not to be written to: name another folder for the maps with --out"
        )
    todo = missing_regions(source, list(source), folder)
    report = Report(command="synth regions", photos=len(source), had_regions=len(source) - len(todo))
    written = extract_regions(source, todo, folder, report, model=model, device=device, batch=batch, ray=ray)
    report.facts["written"] = written
    report.write(folder / "report.json")
    left = f", {len(report.skipped)} left out: see {folder / 'report.json'}" if report.skipped else ""
    typer.echo(f"{written} maps written to {folder}, {len(source) - len(todo)} photos had one{left}")


@app.command()
def build(
    photos: Photos,
    out: Annotated[Path, typer.Option(help="Split folder to make.")],
    donors: Donors = None,
    count: Annotated[int | None, typer.Option(min=1, help="Images to make; the preset's by default.")] = None,
    preset: Preset = "default",
    settings: SettingsFile = None,
    assignments: Assignments = [],  # noqa: B006 - typer reads the default, nothing changes it
    seed: Seed = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    ray: RayAddress = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Write a contact sheet of the first 40.")
    ] = False,
    regions: Regions = None,
    model: Model = None,
    device: Device = None,
    batch: Batch = 4,
    photos_images: PhotosImages = None,
    donors_images: DonorsImages = None,
) -> None:
    """Make a split of photos with groups of similar objects pasted in; run again, it goes on."""
    from functools import partial

    from synth.build.run import build as run_build
    from synth.build.workshop import Workshop
    from synth.progress import progress
    from synth.regions.cache import missing_regions
    from synth.regions.noted import unmapped_labels
    from synth.regions.run import extract_regions
    from toolkit.report import Report

    chosen, published = _settings(preset, settings, assignments)
    job = _job(
        out, photos, donors, chosen, count or _count(preset), seed, regions, photos_images, donors_images
    )
    if ray is None:
        from synth.build.local import run_local

        engine = partial(run_local, workers=workers)
    else:
        from dataclasses import replace

        from synth.build.cluster import connect, run_ray

        connect(ray)  # before anything else: without Ray there is nothing to do
        job = replace(job, cutouts=None)  # the other machines could not read them
        engine = partial(run_ray, address=ray)

    def prepare(workshop: Workshop) -> None:
        folder = Path(str(job.regions))
        todo = missing_regions(workshop.photos, workshop.photos_needed(), folder)
        if not todo:
            return
        extract_regions(
            workshop.photos, todo, folder, Report(), model=model, device=device, batch=batch, ray=ray
        )
        if unmapped := unmapped_labels(folder):  # the build's report lists them too
            labels = ", ".join(unmapped)
            typer.echo(f"labels of the model without a region, left unknown: {labels}", err=True)

    with progress("building", "images") as (start, advance):
        split = run_build(
            out,
            job,
            engine,
            preview=preview,
            published=published,
            prepare=prepare,
            on_start=start,
            on_image=lambda made: advance(),
        )
    missing = job.count - len(split)
    left = f" ({missing} could not be made: see {out / 'report.json'})" if missing else ""
    typer.echo(f"{len(split)} images{left}, {len(split.annotations)} instances in {out}")


@app.command()
def preview(
    photos: Photos,
    out: Annotated[Path, typer.Option(help="PNG or JPEG to write.")],
    donors: Donors = None,
    index: Annotated[int, typer.Option(min=0, help="Number of the image in the build, from 0.")] = 0,
    count: Annotated[
        int | None, typer.Option(min=1, help="Images of that build; the preset's by default.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Most placements shown.")] = 12,
    preset: Preset = "default",
    settings: SettingsFile = None,
    assignments: Assignments = [],  # noqa: B006 - typer reads the default, nothing changes it
    seed: Seed = 0,
    regions: Regions = None,
    model: Model = None,
    device: Device = None,
    photos_images: PhotosImages = None,
    donors_images: DonorsImages = None,
) -> None:
    """Draw one image of a build step by step: regions, distance maps, placements, result."""
    from tempfile import TemporaryDirectory

    from synth.build.workshop import Made, Workshop
    from synth.preview import step_by_step
    from synth.regions.cache import missing_regions
    from synth.regions.run import extract_regions
    from toolkit.errors import InputError
    from toolkit.image import save_image
    from toolkit.report import Report

    chosen, _ = _settings(preset, settings, assignments)
    total = count or _count(preset)
    if index >= total:
        raise InputError(f"--index {index}: the build has {total} images, numbered from 0; raise --count")
    with TemporaryDirectory() as cache:
        job = _job(Path(cache), photos, donors, chosen, total, seed, regions, photos_images, donors_images)
        workshop = Workshop(job)
        folder = Path(str(job.regions))
        todo = missing_regions(workshop.photos, [workshop.photo_of(index)], folder)
        if todo:
            extract_regions(workshop.photos, todo, folder, Report(), model=model, device=device)
        made = Made(index)
        scene = workshop.draw(index, made)
    if scene is None:
        raise InputError(
            f"image {index} can't be made: " + "; ".join(f"{item}: {why}" for item, why in made.skipped[:3])
        )
    sheet = step_by_step(scene.photo, scene.plan, scene.canvas, scene.kept, chosen.placement, steps)
    save_image(out, sheet)
    typer.echo(
        f"{scene.photo.name}: {len(scene.plan.pastes)} copies, {len(scene.kept)} instances, drawn in {out}"
    )


def _settings(preset: str, path: Path | None, assignments: list[str]):
    """The settings asked for, and the published figures of the preset."""
    from synth.presets import find_preset
    from synth.settings import override, settings_from_file

    found = find_preset(preset)
    settings = found.settings if path is None else settings_from_file(path, found.settings)
    remark = {"remark": found.remark} if found.remark else {}
    return override(settings, assignments), found.published | remark


def _count(preset: str) -> int:
    from synth.presets import find_preset

    return find_preset(preset).count


def _job(out, photos, donors, settings, count, seed, regions, photos_images, donors_images):
    """The job of a build in a folder."""
    from synth.build.job import Job
    from synth.build.journal import FOLDER
    from synth.build.run import CUTOUTS
    from synth.photos import regions_folder

    beside = photos if photos.is_dir() else photos.parent
    if regions is None:
        # The bare regions of a read-only split are kept as long as the build is not finished.
        regions = (regions_folder(beside) if beside.is_dir() else None) or out / FOLDER / "regions"

    def text(path: Path | None) -> str | None:
        return None if path is None else str(path.resolve())

    return Job(
        photos=str(photos.resolve()),
        donors=text(donors),
        settings=settings,
        count=count,
        seed=seed,
        photos_images=text(photos_images),
        donors_images=text(donors_images),
        regions=text(regions),
        cutouts=text(out / FOLDER / CUTOUTS),
    )


@app.command("train-regions")
def train_regions(
    train: Annotated[Path, typer.Argument(help="Folder of scenes, or a split with maps of regions.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; the weights come to lie in final/.")],
    val: Annotated[Path | None, typer.Option(help="Scenes to validate on.")] = None,
    steps: Annotated[int, typer.Option(min=1)] = 4000,
    batch_size: Annotated[int, typer.Option(min=1)] = 16,
    lr: Annotated[float, typer.Option(min=0.0)] = 8e-4,
    crop: Annotated[int, typer.Option(min=32, help="Side of the training crops, pixels.")] = 160,
    balanced: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the crops that are chosen by class.")
    ] = 0.5,
    precision: Annotated[
        str, typer.Option(help="no, or bf16: faster where the processor or GPU has it.")
    ] = "bf16",
    workers: Annotated[int, typer.Option(min=0, help="Processes that load photos.")] = 1,
    seed: Seed = 0,
    backbone: Annotated[
        str,
        typer.Option(
            help="What the backbone starts from: bundled (the bundled 1C-DSN), none (random weights), or the "
            "folder of a 1C-DSN with a backbone of that shape."
        ),
    ] = "bundled",
    frozen: Annotated[
        bool, typer.Option("--frozen", help="Leave the backbone as it is, in less time and memory.")
    ] = False,
    init_from: Annotated[Path | None, typer.Option(help="Folder of weights to start from.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    max_minutes: Annotated[
        float | None, typer.Option(min=0.0, help="Save and leave after this long.")
    ] = None,
) -> None:
    """Train the compact region extractor; a stopped run goes on with --resume."""
    from models.systems.clicking.pretrained import one_click_folder
    from synth.regions.training import CompactConfig, RegionsTask
    from toolkit.training import Schedule, fit

    scenes = str(train), None if val is None else str(val)
    none = backbone == "none" or init_from is not None  # which has a backbone of its own
    start = None if none else one_click_folder(backbone)
    task = RegionsTask(*scenes, CompactConfig(frozen=frozen), crop, seed, balanced, start)
    schedule = Schedule(
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        warmup_steps=min(200, steps // 10),
        clip_grad_norm=1.0,
        ema_decay=0.998,
        mixed_precision=precision,  # type: ignore[arg-type]  # Schedule checks it
        workers=workers,
        seed=seed,
        eval_every=max(steps // 8, 1),
    )
    result = fit(task, schedule, out, resume=resume, init_from=init_from, max_minutes=max_minutes)
    scores = "".join(f", {name} {value:.3f}" for name, value in result["scores"].items())
    state = f"weights in {result['final']}" if result["finished"] else "not finished: go on with --resume"
    typer.echo(f"step {result['step']} of {steps}{scores}; {state}")
