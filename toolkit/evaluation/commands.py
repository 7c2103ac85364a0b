"""`declutter eval …`: protocols from the terminal. Imports stay inside the commands."""

from __future__ import annotations

from typing import Annotated

import typer

from toolkit.evaluation import compare_command, method_commands
from toolkit.evaluation.options import (
    Human,
    Images,
    Iterate,
    Jitter,
    Limit,
    MaxDetections,
    Name,
    Out,
    Seed,
    SplitPath,
    UnseenBy,
    Verify,
    load_system,
    read_measured,
    say,
    switched,
)

app = typer.Typer(no_args_is_help=True, help="Run an evaluation protocol on a split.")
app.command("detection")(method_commands.detection)
app.command("proposals")(method_commands.proposals)
app.command("verification")(method_commands.verification)
app.command("ablation")(method_commands.ablation)
app.command("compare")(compare_command.compare)


@app.command("one-click")
def one_click(
    ctx: typer.Context,
    split: SplitPath,
    out: Out,
    system: Name = None,
    images: Images = None,
    unseen_by: UnseenBy = None,
    limit: Limit = None,
    seed: Seed = 0,
    jitter: Jitter = 0.0,
    max_detections: MaxDetections = None,
) -> None:
    """One click per object: IoU by size, AP and AR."""
    from toolkit.evaluation.one_click import run_one_click

    data = read_measured(split, images, unseen_by, out)
    result = run_one_click(
        data,
        load_system(ctx, system),
        out,
        limit=limit,
        seed=seed,
        jitter=jitter,
        max_detections=max_detections,
    )
    say(result, ("n", "miou", "miou_small", "miou_medium", "miou_large", "ap", "ar"), out)


@app.command("groups")
def groups(
    ctx: typer.Context,
    split: SplitPath,
    out: Out,
    system: Name = None,
    images: Images = None,
    unseen_by: UnseenBy = None,
    limit: Limit = None,
    seed: Seed = 0,
    jitter: Jitter = 0.0,
    max_detections: MaxDetections = None,
    ids: Iterate = True,
    pvm: Verify = True,
) -> None:
    """One click per group: all masks that come back against all siblings."""
    from toolkit.evaluation.groups import run_groups

    data = read_measured(split, images, unseen_by, out)
    result = run_groups(
        data,
        switched(load_system(ctx, system), ids, pvm),
        out,
        limit=limit,
        seed=seed,
        jitter=jitter,
        max_detections=max_detections,
    )
    say(result, ("n", "ap", "ar", "precision", "recall", "n_multi", "ap_multi", "ar_multi"), out)


@app.command("clicks")
def clicks(
    ctx: typer.Context,
    split: SplitPath,
    out: Out,
    system: Name = None,
    images: Images = None,
    unseen_by: UnseenBy = None,
    limit: Limit = None,
    seed: Seed = 0,
    most: Annotated[int, typer.Option("--clicks", min=1, help="Clicks per object.")] = 20,
    positive_only: Annotated[
        bool, typer.Option(help="Click missed pixels only, never wrong ones (SimpSON, figure 5).")
    ] = False,
    jitter: Jitter = 0.0,
    human: Human = False,
    repeats: Annotated[int, typer.Option(min=1, help="Times to click each object, for mean ± sd.")] = 1,
    ritm_nof: Annotated[
        bool, typer.Option("--ritm-nof", help="Count success with the last click as failure, as RITM does.")
    ] = False,
) -> None:
    """Click after click per object: NoC, NoF, mean IoU per number of clicks."""
    from toolkit.evaluation.clicking import Aim
    from toolkit.evaluation.clicks import ClickProtocol, run_clicks

    clicking = ClickProtocol(most, positive_only, Aim(jitter, human), repeats)
    data = read_measured(split, images, unseen_by, out)
    result = run_clicks(
        data, load_system(ctx, system), out, clicking, limit=limit, seed=seed, ritm_nof=ritm_nof
    )
    say(result, ("n", "noc_80", "noc_85", "noc_90", "nof_90", "miou_1", f"miou_{most}"), out)
