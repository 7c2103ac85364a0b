"""`declutter train`: a recipe becomes a task and a schedule, and the training loop runs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from toolkit.training import TrainingTask


def describe_first_batch(task: TrainingTask, batch_size: int) -> dict[str, float]:
    """Build one batch and return its losses, training nothing."""
    import torch

    batch = task.collate([task.sample(index) for index in range(batch_size)])
    with torch.no_grad():
        return {name: float(value) for name, value in task.losses(task.model, batch).items()}


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe file (YAML), or the name of a packaged one.")],
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
        bool, typer.Option("--dry-run", help="Compute one batch's losses, then leave.")
    ] = False,
) -> None:
    """Train a module or a compared system from a recipe; a stopped run goes on with --resume."""
    from models.recipes import build_task

    shortcuts = {"schedule.seed": seed, "schedule.workers": workers}
    given = [f"{key}={value}" for key, value in shortcuts.items() if value is not None]
    task, schedule, name = build_task(recipe, [*settings, *given])
    folder = out if out is not None else Path("runs") / name
    trainable = sum(weights.numel() for weights in task.model.parameters() if weights.requires_grad)
    typer.echo(f"{name}: {trainable / 1e6:.2f} M trainable parameters, {schedule.steps} steps → {folder}")
    if dry_run:
        losses = describe_first_batch(task, schedule.batch_size)
        typer.echo("one batch: " + ", ".join(f"{key} {value:.4g}" for key, value in losses.items()))
        return
    from toolkit.training import fit

    result = fit(task, schedule, folder, resume=resume, init_from=init_from, max_minutes=max_minutes)
    state = f"weights in {result['final']}" if result["finished"] else "not finished: go on with --resume"
    scores = "".join(f", {key} {value:.4g}" for key, value in result["scores"].items())
    typer.echo(f"step {result['step']} of {schedule.steps} after {result['seconds']:.0f} s{scores}; {state}")
