"""`declutter studio …`: Label Studio with our backend, on this machine or on the user's own server."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.errors import InputError

if TYPE_CHECKING:
    from annotation.studio.up import Running
    from toolkit.report import Report

app = typer.Typer(no_args_is_help=True, help="Label Studio: set up, connect, import, export.")
studio_app = app

KEY_VARIABLE = "LABEL_STUDIO_API_KEY"

Url = Annotated[str, typer.Option(envvar="LABEL_STUDIO_URL", help="Address of Label Studio.")]
ApiKey = Annotated[
    str,
    typer.Option(
        envvar=KEY_VARIABLE, help="Legacy or personal access token; better given in the environment."
    ),
]
Project = Annotated[int, typer.Option(min=1, help="Number of the project, as in its address.")]
Predictions = Annotated[
    bool, typer.Option("--predictions", help="Take the newest prediction of photos that nobody annotated.")
]
ImageField = Annotated[
    str | None, typer.Option(help="Task field with the photo's address; found by itself as a rule.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a finished split in the folder.")]


@app.command("up")
def up(
    photos: Annotated[
        Path | None, typer.Argument(metavar="[PHOTOS|SPLIT]", help="A folder of photos, or a split.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address that Label Studio listens on; 0.0.0.0 for other machines.")
    ] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="The last one by default.")] = None,
    system: Annotated[
        str | None, typer.Option("--system", help="A system's name, or a folder of weights.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
    check: Annotated[
        bool, typer.Option("--check", help="Set everything up, let the model answer one click, and leave.")
    ] = False,
    optional: Annotated[
        bool,
        typer.Option("--optional", help="Where Label Studio can't be installed, say so and leave with 0."),
    ] = False,
) -> None:
    """Start Label Studio and the backend, with photos in; Ctrl-C stops both, a second run goes on."""
    from annotation.studio.environment import NotInstallableError

    try:
        _up(photos, host, port, system, browser, check)
    except NotInstallableError as error:
        if not optional:
            raise
        typer.echo(f"without Label Studio: {error}")


def _up(
    photos: Path | None, host: str, port: int | None, system: str | None, browser: bool, check: bool
) -> None:
    from annotation.studio.project import read_material
    from annotation.studio.up import UpOptions, running, stop_signals, wait_until_stopped
    from toolkit.report import Report

    material = read_material(photos) if photos is not None else None
    options = UpOptions(host=host, port=port, system=system)
    report = Report(command="studio up")
    with stop_signals(), running(material, options, report, typer.echo) as everything:
        _show(everything, report, options.data)
        if check:
            _check(everything)
            return
        if browser and _has_display():
            webbrowser.open(everything.address)
        try:
            wait_until_stopped(everything)
        except KeyboardInterrupt:
            typer.echo("")


@app.command("connect")
def connect(
    url: Url,
    api_key: ApiKey,
    photos: Annotated[
        Path | None, typer.Argument(metavar="[PHOTOS|SPLIT]", help="Photos or a split to upload.")
    ] = None,
    backend_url: Annotated[
        str, typer.Option(help="Where Label Studio finds the backend (declutter serve).")
    ] = "http://localhost:9090",
    project: Annotated[
        int | None, typer.Option(min=1, help="An existing project; a new one by default.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Of a new project.")] = None,
) -> None:
    """Set up the project and the backend on your own Label Studio."""
    from annotation.label_config import check_label_config, default_label_config, parse_label_config
    from annotation.label_studio import LabelStudioClient
    from annotation.studio.project import INSTRUCTION, fill_by_upload, read_material
    from toolkit.report import Report

    client = LabelStudioClient(url, api_key)
    email = client.check()
    material = read_material(photos) if photos is not None else None
    if project is None:
        name = title or (f"Declutter: {material.title}" if material else "Declutter")
        project = client.find_project(name)
        if project is None:
            config = material.label_config if material else default_label_config()
            project = client.create_project(name, config, INSTRUCTION)
    problems = check_label_config(parse_label_config(client.project(project).label_config))
    for problem in problems:
        typer.echo(f"warning: project {project}: {problem}", err=True)
    report = Report(command="studio connect")
    if material is not None:
        added, total = fill_by_upload(client, project, material, report)
        typer.echo(f"project {project}: {total} photos ({added} new, {len(report.skipped)} left out)")
    username = os.environ.get("DECLUTTER_USERNAME")
    client.connect_backend(project, backend_url, username, os.environ.get("DECLUTTER_PASSWORD"))
    typer.echo(f"connected {backend_url} as {email}: {client.url}/projects/{project}/data")


@app.command("export")
def export(
    out: Annotated[Path, typer.Option(help="The split folder to write.")],
    project: Project,
    url: Url = "",
    api_key: ApiKey = "",
    predictions: Predictions = False,
    image_field: ImageField = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a project's annotations as a split: masks exact, one annotation per region, groups kept.

    Without an address, the Label Studio of `studio up` is asked, which must be running.
    """
    from annotation.exporting import export_tasks
    from annotation.label_studio import LabelStudioClient

    url, api_key = _own_server(url, api_key)
    client = LabelStudioClient(url, api_key)
    tasks = client.export(project, predictions)
    report = export_tasks(
        tasks,
        out,
        _photo_source(url, api_key),
        predictions=predictions,
        image_field=image_field,
        overwrite=overwrite,
        card={"exported_from": {"label_studio": client.url, "project": project}},
    )
    _say(report, out)


@app.command("import-labels")
def import_labels(
    source: Annotated[
        Path,
        typer.Argument(metavar="JSON|FOLDER", help="A JSON export of Label Studio, or a folder of them."),
    ],
    out: Annotated[Path, typer.Option(help="The split folder to write.")],
    photos: Annotated[
        list[Path], typer.Option("--photos", help="Folder where the photos lie; repeatable.")
    ] = [],  # noqa: B006 - typer reads the default, nothing changes it
    url: Url = "",
    api_key: ApiKey = "",
    predictions: Predictions = False,
    image_field: ImageField = None,
    overwrite: Overwrite = False,
) -> None:
    """Turn Label Studio's JSON (an export, or what the backend's webhook stored) into a split to train on."""
    from annotation.exporting import export_tasks
    from annotation.photo_sources import in_folders, read_tasks

    tasks = read_tasks(source)
    remote = _photo_source(url, api_key) if url else None
    report = export_tasks(
        tasks,
        out,
        in_folders(photos or [source if source.is_dir() else source.parent], remote),
        predictions=predictions,
        image_field=image_field,
        overwrite=overwrite,
        card={"imported_from": str(source)},
    )
    _say(report, out)


def _say(report: Report, out: Path) -> None:
    facts: Mapping[str, Any] = report.facts
    typer.echo(
        f"{out}: {facts['images']} photos, {facts['annotations']} annotations of {facts['tasks']} tasks; "
        f"{len(report.skipped)} left out, see {out / 'report.json'}"
    )


def _own_server(url: str, api_key: str) -> tuple[str, str]:
    """The address and key given, or those of the Label Studio of `studio up`."""
    from annotation.studio.environment import data_dir
    from annotation.studio.server import load_account

    if url:
        if not api_key:
            raise InputError(f"{url}: needs a key; set {KEY_VARIABLE}")
        return url, api_key
    if not (data_dir() / "account.json").is_file():
        raise InputError("no Label Studio is known here; give --url, or start one with `declutter studio up`")
    account = load_account(data_dir())
    return f"http://localhost:{account.port}", account.token


def _photo_source(url: str, api_key: str) -> Any:
    from annotation.photo_sources import from_label_studio

    return from_label_studio(url, api_key)


def _show(everything: Running, report: Report, data: Path) -> None:
    account = everything.account
    for item, reason in report.skipped[:10]:
        typer.echo(f"left out: {item}: {reason}")
    if report.skipped:
        report.write(data / "report.json")
        typer.echo(f"all {len(report.skipped)} left out: {data / 'report.json'}")
    typer.echo(f"\n  Label Studio   {everything.address}")
    typer.echo(f"  sign in as     {account.email}")
    typer.echo(f"  password       {account.password}")
    typer.echo("  Ctrl-C stops it.\n")


def _has_display() -> bool:
    """Whether a browser has a screen to open on; without one, a text browser would take the terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _check(everything: Running) -> None:
    """Let the model answer a click on the first photo, through Label Studio."""
    from annotation.studio.checking import NotWorkingError, click_first_photo

    everything.probe.wait_ready()
    if everything.project is None:
        typer.echo("Label Studio and the backend are up")
        return
    count, seconds = click_first_photo(everything.client, everything.project)
    if troubles := everything.probe.troubles():
        raise NotWorkingError(f"clicks were not answered ({troubles}); see {everything.backend.log}")
    typer.echo(f"one click through Label Studio: {count} masks in {seconds:.1f} s")
