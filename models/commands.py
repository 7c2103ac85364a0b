"""`declutter models`: what networks there are, and what they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.errors import InputError

if TYPE_CHECKING:
    from models.tasks.chooser import ChooserTask
    from models.tasks.judge import JudgeTask

app = typer.Typer(no_args_is_help=True, help="List and describe bundled and trained models.")

BUNDLED = Path(__file__).parent / "bundled"


def card_summary(card: Path) -> str:
    """The first sentence of a model card below its title; empty without a card."""
    if not card.is_file():
        return ""
    for line in card.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if text and not text.startswith(("#", "---", "license", "tags", "-")):
            return text
    return ""


@app.command("list")
def list_models() -> None:
    """List the bundled networks, their size and what their card says first."""
    folders = sorted(path.parent for path in BUNDLED.glob("*/config.json"))
    if not folders:
        typer.echo("no networks are bundled; train some with `declutter train`")
    for folder in folders:
        size = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e6
        typer.echo(f"{folder.name:12} {size:6.1f} MB  {card_summary(folder / 'README.md')}")


def show_sizes(names: Sequence[str]) -> None:
    """Print a line for each recipe's network."""
    from models.sizes import recipe_size

    typer.echo(f"{'recipe':30} {'parameters':>11} {'GFLOPs':>9}  published figures (percent)")
    works: dict[str, list[str]] = {}
    for name in names:
        size = recipe_size(name)
        works.setdefault(size.work, []).append(name)
        line = f"{name:30} {size.parameters / 1e6:9.2f} M {size.flops / 1e9:9.1f}  {size.published}"
        typer.echo(line.rstrip())
    typer.echo("\nGFLOPs, a multiplication and an addition counting as two:")
    for work, own in works.items():
        typer.echo(f"  {work}: {', '.join(own)}")


def show_recipe(name: str) -> None:
    """Print the size of a recipe's network, part by part."""
    from models.recipes import find_recipe, read_recipe
    from models.sizes import recipe_size

    size = recipe_size(name)
    typer.echo(f"{find_recipe(name).stem}: {read_recipe(name).description}")
    for part, count in size.parts.items():
        typer.echo(f"{part:20} {count / 1e6:8.3f} M")
    typer.echo(f"{'all':20} {size.parameters / 1e6:8.3f} M parameters")
    for work, flops in {size.work: size.flops, **size.further}.items():
        typer.echo(f"{flops / 1e9:.{1 if flops >= 1e10 else 3}f} GFLOPs for {work}")
    if size.published:
        typer.echo(f"published: {size.published}")


@app.command("show")
def show(
    name: Annotated[
        str | None,
        typer.Argument(help="A bundled network, a folder that holds one, or a recipe."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show the networks of all packaged recipes.")] = False,
) -> None:
    """Show a network's parts, parameters and card; of a recipe also its FLOPs and the published figures."""
    from models.recipes import recipe_names

    if every:
        show_sizes(recipe_names())
        return
    if name is None:
        raise InputError("models show: expected the name of a network or recipe, or --all")
    if name in recipe_names() or Path(name).suffix in (".yaml", ".yml"):
        show_recipe(name)
        return
    folder = Path(name) if Path(name).is_dir() else BUNDLED / name
    weights = folder / "model.safetensors"
    if not weights.is_file():
        known = ", ".join(sorted(path.parent.name for path in BUNDLED.glob("*/config.json")))
        recipes = ", ".join(recipe_names())
        raise InputError(
            f"model '{name}': no such folder, bundled network or recipe; bundled are: {known or 'none'}; "
            f"recipes are: {recipes}"
        )
    from safetensors import safe_open

    counts: dict[str, int] = {}
    with safe_open(weights, framework="np") as file:
        for key in file.keys():  # noqa: SIM118  # the file is no mapping
            part = key.split(".")[0]
            size = 1
            for side in file.get_slice(key).get_shape():
                size *= side
            counts[part] = counts.get(part, 0) + size
    for part, count in counts.items():
        typer.echo(f"{part:20} {count / 1e6:8.3f} M")
    typer.echo(f"{'all':20} {sum(counts.values()) / 1e6:8.3f} M parameters, with buffers")
    card = folder / "README.md"
    if card.is_file():
        typer.echo("\n" + card.read_text(encoding="utf-8"))


@app.command("bundle")
def bundle(
    source: Annotated[Path, typer.Argument(help="Folder of a trained network, such as runs/NAME/final.")],
    name: Annotated[str, typer.Argument(help="one-click, cpn, pvm, refiner, chooser or judge.")],
    out: Annotated[Path, typer.Option(help="Folder that holds the set.")] = BUNDLED,
    mean_with: Annotated[
        Path | None, typer.Option(help="Folder of the network it went on from: bundle the mean of both.")
    ] = None,
) -> None:
    """Put a trained network into a set of weights, in half precision."""
    from models.bundling import bundle_network

    folder = bundle_network(source, name, out, mean_with)
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e6
    typer.echo(f"{folder}: {size:.1f} MB")


@app.command("choices")
def choices(
    split: Annotated[Path, typer.Argument(help="A split with objects, such as PHOTOS/train.")],
    out: Annotated[Path, typer.Option(help="Folder for one file per photo; a stopped run goes on in it.")],
    source: Annotated[
        str | None, typer.Option("--system", help="Folder of weights; bundled by default.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="So many photos, drawn with --seed.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawing and the clicks.")] = 0,
    jitter: Annotated[
        float, typer.Option(min=0.0, help="Spread of clicks around the centre, at most; of the radius.")
    ] = 0.0,
    workers: Annotated[int, typer.Option(min=1, help="Processes, of one thread each.")] = 1,
) -> None:
    """Click every object of a split and keep what is proposed beside the object: the chooser's lessons."""
    from models.chooser.collecting import ChoiceCollector
    from models.collecting import Collection, collect

    photos = collect(Collection(ChoiceCollector(jitter, seed), split, out, source), limit, seed, workers)
    typer.echo(f"{out}: choices of {photos} photos")


@app.command("train-chooser")
def train_chooser(
    lessons: Annotated[Path, typer.Argument(help="Folder that `declutter models choices` wrote.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; the weights come to OUT/final.")],
    val: Annotated[Path | None, typer.Option(help="Choices of a validation split.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of 96 clicks.")] = 4000,
    lr: Annotated[float, typer.Option(min=0.0, help="Highest learning rate.")] = 2e-3,
    hidden: Annotated[int, typer.Option(min=1, help="Width of the hidden layers.")] = 128,
    dropout: Annotated[float, typer.Option(min=0.0, max=0.9, help="Of the hidden values.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Of weights and order.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
) -> None:
    """Train the chooser, which makes one mask of those proposed for a click; minutes on a CPU."""
    from models.chooser import ChooserConfig
    from models.chooser.lessons import read_lessons
    from models.tasks.chooser import ChooserTask

    learned = read_lessons(lessons)
    held = read_lessons(val) if val is not None else []
    task = ChooserTask(learned, ChooserConfig(hidden=hidden, dropout=dropout), seed, held)
    batches = {"batch_size": 96, "warmup_steps": min(200, steps // 10)}
    typer.echo(_fitted(task, len(learned), {"steps": steps, "lr": lr, **batches}, out, resume))


@app.command("selections")
def selections(
    split: Annotated[Path, typer.Argument(help="A split with groups, such as PHOTOS/train.")],
    out: Annotated[Path, typer.Option(help="Folder for one file per photo; a stopped run goes on in it.")],
    source: Annotated[
        str | None, typer.Option("--system", help="Folder of weights; bundled by default.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="So many photos, drawn with --seed.")] = None,
    clicks: Annotated[int, typer.Option(min=1, help="Members of each group that are clicked, at most.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawing, and of what is clicked.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes, of one thread each.")] = 1,
) -> None:
    """Click members of every group and keep what is selected, and how right it is: the judge's lessons."""
    from models.collecting import Collection, collect
    from models.judge.lessons import SelectionCollector

    photos = collect(Collection(SelectionCollector(clicks, seed), split, out, source), limit, seed, workers)
    typer.echo(f"{out}: selections of {photos} photos")


@app.command("train-judge")
def train_judge(
    lessons: Annotated[Path, typer.Argument(help="Folder that `declutter models selections` wrote.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; the weights come to OUT/final.")],
    val: Annotated[Path | None, typer.Option(help="Selections of a validation split.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of 64 clicks.")] = 600,
    lr: Annotated[float, typer.Option(min=0.0, help="Highest learning rate.")] = 2e-3,
    hidden: Annotated[int, typer.Option(min=1, help="Width of the hidden layers.")] = 64,
    dropout: Annotated[float, typer.Option(min=0.0, max=0.9, help="Of the hidden values.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Of weights and order.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
) -> None:
    """Train the judge, which says what of a selection is right; minutes on a CPU."""
    from models.judge import JudgeConfig
    from models.judge.lessons import read_lessons
    from models.tasks.judge import JudgeTask

    learned = read_lessons(lessons)
    held = read_lessons(val) if val is not None else []
    task = JudgeTask(learned, JudgeConfig(hidden=hidden, dropout=dropout), seed, held)
    batches = {"batch_size": 64, "warmup_steps": min(100, steps // 10)}
    typer.echo(_fitted(task, len(learned), {"steps": steps, "lr": lr, **batches}, out, resume))


def _fitted(task: ChooserTask | JudgeTask, clicks: int, pace: dict[str, Any], out: Path, resume: bool) -> str:
    """Train a small network on its lessons, and say what came out."""
    from toolkit.training import Schedule, fit

    rest: dict[str, Any] = {
        "weight_decay": 0.05,
        "workers": 0,
        "ema_decay": 0.99,
        "clip_grad_norm": 1.0,
        "seed": task.seed,
    }
    result = fit(task, Schedule(**pace, **rest), out, resume=resume)
    scores = "".join(f", {key} {value:.4g}" for key, value in result["scores"].items())
    return f"{clicks} clicks, {pace['steps']} steps{scores}; weights in {result['final']}"


@app.command("push")
def push(
    source: Annotated[Path, typer.Argument(help="A set of weights, or the folder of one network.")],
    repository: Annotated[str, typer.Argument(help="Repository on the hub, such as name/weights.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent; send nothing.")] = False,
) -> None:
    """Share weights with their model cards on the Hugging Face hub."""
    from models.pushing import files_to_push
    from models.pushing import push as send

    uploads = files_to_push(source)
    for upload in uploads:
        typer.echo(f"{upload.size / 1e6:9.3f} MB  {upload.name}")
    total = sum(upload.size for upload in uploads) / 1e6
    if dry_run:
        typer.echo(f"{len(uploads)} files, {total:.1f} MB, would go to {repository}; nothing was sent")
        return
    typer.echo(f"{len(uploads)} files, {total:.1f} MB: {send(source, repository, private=private)}")


@app.command("export")
def export(
    out: Annotated[Path, typer.Option(help="Folder for the ONNX files and export.json.")],
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME_OR_FOLDER]",
            help="one-click, pvm, a set or a network's folder; the bundled set by default.",
        ),
    ] = None,
    measure: Annotated[
        bool, typer.Option(help="Time the encoder in torch and onnxruntime, on one thread.")
    ] = True,
) -> None:
    """Write 1C-DSN's encoder and heads, PVM and the mask refiner as ONNX, checked against torch."""
    from models.exporting import SPEED_SIZE, exportable, time_encoder, write_graphs
    from models.exporting.writing import DESCRIPTION, INSTALL

    encoder = None
    unchecked = False
    for one in write_graphs(exportable(source), out):
        unchecked |= one.difference is None
        check = "not checked" if one.difference is None else f"within {one.difference:.1e} of torch"
        typer.echo(f"{one.path}: {one.path.stat().st_size / 1e6:.1f} MB, {check}")
        if one.graph.name == "encoder":
            encoder = one
    typer.echo(f"{out / DESCRIPTION}: inputs, outputs, strides and versions")
    if unchecked:
        typer.echo(f"onnxruntime is not installed, so no file was checked against torch; {INSTALL}")
    elif encoder is not None and measure:
        times = time_encoder(encoder.graph, encoder.path)
        typer.echo(
            f"encoder, {SPEED_SIZE[0]} × {SPEED_SIZE[1]} px, one thread: torch {times.torch:.2f} s, "
            f"onnxruntime {times.onnxruntime:.2f} s, {times.torch / times.onnxruntime:.2f} times as fast"
        )
