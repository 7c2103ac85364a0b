"""`declutter eval …`: the protocols of SimpSON's own parts. Imports stay inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.evaluation.options import (
    Human,
    Images,
    Jitter,
    Limit,
    MaxDetections,
    Name,
    Out,
    Seed,
    SplitPath,
    UnseenBy,
    load_system,
    read_measured,
    say,
)


def detection(
    ctx: typer.Context,
    split: SplitPath,
    out: Out,
    system: Name = None,
    baseline: Annotated[
        str | None,
        typer.Option(help="Weights trained without click embedding; else clicks are withheld from --system."),
    ] = None,
    images: Images = None,
    unseen_by: UnseenBy = None,
    limit: Limit = None,
    seed: Seed = 0,
    jitter: Jitter = 0.0,
    max_detections: MaxDetections = None,
) -> None:
    """One click per object, with and without click embedding: AP, AR, precision over recall."""
    from toolkit.evaluation.detection import run_detection

    data = read_measured(split, images, unseen_by, out)
    other = None if baseline is None else load_system(ctx, baseline)
    result = run_detection(
        data,
        load_system(ctx, system),
        out,
        other,
        limit=limit,
        seed=seed,
        jitter=jitter,
        max_detections=max_detections,
    )
    say(result, ("n", "ap", "baseline_ap", "gain_ap", "ap_small", "ap_medium", "ap_large", "ar"), out)


def proposals(
    ctx: typer.Context,
    split: SplitPath,
    out: Out,
    system: Name = None,
    images: Images = None,
    unseen_by: UnseenBy = None,
    limit: Limit = None,
    seed: Seed = 0,
    jitter: Jitter = 0.0,
    human: Human = False,
    most: Annotated[int, typer.Option("--clicks", min=1, help="Most clicks per exemplar.")] = 100,
    confidence: Annotated[
        float, typer.Option(help="At which precision and recall are given besides the area.")
    ] = 0.2,
) -> None:
    """Clicks proposed for one exemplar per group: area under precision over recall."""
    from toolkit.evaluation.clicking import Aim
    from toolkit.evaluation.proposals import run_proposals

    aim, data = Aim(jitter, human), read_measured(split, images, unseen_by, out)
    loaded = load_system(ctx, system)
    result = run_proposals(
        data, loaded, out, aim=aim, limit=limit, seed=seed, most=most, confidence=confidence
    )
    say(result, ("n", "auc_pr", "precision", "recall", "f1"), out)


def verification(
    ctx: typer.Context,
    split: SplitPath,
    out: Out,
    system: Name = None,
    images: Images = None,
    unseen_by: UnseenBy = None,
    limit: Limit = None,
    seed: Seed = 0,
    jitter: Jitter = 0.0,
    human: Human = False,
    most: Annotated[int, typer.Option("--objects", min=2, help="Most objects per photo.")] = 40,
    similarity: Annotated[
        float, typer.Option(help="At which accuracy, precision and recall are given.")
    ] = 0.5,
) -> None:
    """Pairs of objects: ROC, and precision over recall, of telling siblings from others."""
    from toolkit.evaluation.clicking import Aim
    from toolkit.evaluation.verification import run_verification

    aim, data = Aim(jitter, human), read_measured(split, images, unseen_by, out)
    loaded = load_system(ctx, system)
    result = run_verification(
        data, loaded, out, aim=aim, limit=limit, seed=seed, most=most, similarity=similarity
    )
    say(result, ("n", "positives", "auc_roc", "auc_pr", "accuracy", "missed"), out)


def ablation(
    ctx: typer.Context,
    table: Annotated[
        str,
        typer.Argument(
            help="Of SimpSON: table1, table2 (clicks), table3 (IDS, PVM), table4 (CPN), table5 (PVM)."
        ),
    ],
    data: Annotated[Path, typer.Option(metavar="SPLIT", help="A split folder, or a COCO or LVIS JSON file.")],
    out: Out,
    system: Name = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(help="All but table3: folder of a network trained another way; once per row."),
    ] = None,
    images: Images = None,
    unseen_by: UnseenBy = None,
    limit: Limit = None,
    seed: Seed = 0,
    jitter: Jitter = 0.0,
    max_detections: MaxDetections = None,
) -> None:
    """All rows of one of SimpSON's ablation tables."""
    from toolkit.evaluation.ablation import Settings, run_ablation

    settings = Settings(limit, seed, jitter, max_detections)
    loaded = load_system(ctx, system)
    run_ablation(table, read_measured(data, images, unseen_by, out), loaded, out, variant or (), settings)
    typer.echo((out / "table.md").read_text(encoding="utf-8"))
