"""`declutter train`: a recipe becomes a task and a schedule, and the training loop runs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.errors import InputError

if TYPE_CHECKING:
    from toolkit.training import Schedule, TrainingTask


def describe_schedule(schedule: Schedule) -> str:
    """One line of how long and how fast a run learns."""
    falls = ", ".join(str(step) for step in schedule.milestones)
    decay = f"step ×{schedule.gamma:g} at {falls}" if schedule.decay == "step" else schedule.decay
    return (
        f"{schedule.steps} steps of {schedule.batch_size}, {schedule.optimizer} lr {schedule.lr:g}, "
        f"{decay}, warm-up {schedule.warmup_steps}, weight decay {schedule.weight_decay:g}, "
        f"precision {schedule.mixed_precision}"
    )


def duration(seconds: float) -> str:
    """A duration in words that suit it."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def describe(task: TrainingTask, schedule: Schedule, crop: int) -> list[str]:
    """The lines of ``--dry-run``."""
    from models.dry_run import measure

    found = measure(task, schedule, crop)
    losses = ", ".join(f"{key} {value:.4g}" for key, value in found.losses.items())
    part = "" if found.pictures == schedule.batch_size else f" (measured with {found.pictures} of them)"
    step = f"{found.seconds_per_step:.2f} s a step of {schedule.batch_size}{part}"
    making = f"{found.seconds_per_batch:.2f} s to make its pictures in one process"
    whole = duration(found.seconds(schedule))
    return [
        f"schedule: {describe_schedule(schedule)}",
        f"parameters: {found.trainable / 1e6:.2f} M learn, {found.frozen / 1e6:.2f} M do not",
        f"work: {found.flops / 1e9:.1f} GFLOPs forward for a picture of {crop} px, with its losses",
        f"first step: {losses}",
        f"measured on {found.device}: {step}, {making}",
        f"estimate: {whole} for {schedule.steps} steps with {schedule.workers} loader processes",
    ]


def run_finetune(settings: Sequence[str], out: Path, start: Path | None, resume: bool) -> None:
    """Fine-tune all networks of a selector; see :mod:`models.finetune`."""
    from models.finetune import Finetuning, finetune, paths_of
    from models.loading import BUNDLED

    split, others = paths_of(settings)
    if split is None:
        raise InputError("data.train: no split to learn from; add --set data.train=FOLDER")
    finetune(Finetuning(split, out, start or BUNDLED, others, resume), typer.echo)


def one_recipe(argument: str | None, option: str | None) -> str:
    """The recipe that was named, either way.

    Raises:
        InputError: None was, or two were.
    """
    named = [name for name in (argument, option) if name is not None]
    if len(named) != 1:
        raise InputError("train: expected one recipe, such as `declutter train one-click-compact`")
    return named[0]


def train(
    argument: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE",
            help="A recipe file (YAML), or the name of a packaged one; `finetune` goes on with all networks "
            "of a selector (--init-from, the bundled one by default) on data.train, and compares.",
        ),
    ] = None,
    option: Annotated[str | None, typer.Option("--recipe", help="The same, as an option.")] = None,
    settings: Annotated[
        list[str],
        typer.Option("--set", metavar="KEY=VALUE", help="Change a field, e.g. schedule.steps=1000."),
    ] = [],  # noqa: B006 - typer reads the default, nothing changes it
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/NAME when not given.")] = None,
    max_minutes: Annotated[
        float | None, typer.Option(min=0.0, help="Save and leave after this long.")
    ] = None,
    init_from: Annotated[Path | None, typer.Option(help="Folder of weights to start from.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Short for --set schedule.seed=…")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Short for --set schedule.workers=…")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print schedule, size, work and estimated time, then leave.")
    ] = False,
    tracker: Annotated[
        str | None, typer.Option(help="Also log to this tracker: tensorboard, wandb … (below OUT/tracking).")
    ] = None,
) -> None:
    """Train a module or a compared system from a recipe; a stopped run goes on with --resume."""
    from models.recipes import build_task, find_recipe, read_recipe
    from toolkit.training.checkpoints import list_checkpoints

    recipe = one_recipe(argument, option)
    shortcuts = {"schedule.seed": seed, "schedule.workers": workers}
    given = [f"{key}={value}" for key, value in shortcuts.items() if value is not None]
    if recipe == "finetune":
        if max_minutes is not None or dry_run or tracker:
            raise InputError("finetune: takes no --max-minutes, --dry-run and --tracker; its parts do")
        run_finetune([*settings, *given], out or Path("runs") / recipe, init_from, resume)
        return
    described = read_recipe(recipe, [*settings, *given])
    folder = out if out is not None else Path("runs") / find_recipe(recipe).stem
    goes_on = resume and bool(list_checkpoints(folder / "checkpoints"))
    task, schedule, name = build_task(recipe, [*settings, *given], pretrained=not (dry_run or goes_on))
    trainable = sum(weights.numel() for weights in task.model.parameters() if weights.requires_grad)
    typer.echo(f"{name}: {trainable / 1e6:.2f} M trainable parameters, {schedule.steps} steps → {folder}")
    if dry_run:
        for line in describe(task, schedule, described.data.crops[-1].size):
            typer.echo(line)
        return
    from models.initial_weights import initial_weights
    from toolkit.training import fit

    source = init_from or getattr(described, "init_from", None)
    start = None if source is None or goes_on else initial_weights(task.model, source)
    result = fit(
        task, schedule, folder, resume=resume, init_from=start, max_minutes=max_minutes, tracker=tracker
    )
    state = f"weights in {result['final']}" if result["finished"] else "not finished: go on with --resume"
    scores = "".join(f", {key} {value:.4g}" for key, value in result["scores"].items())
    typer.echo(f"step {result['step']} of {schedule.steps} after {result['seconds']:.0f} s{scores}; {state}")
