"""`declutter serve`: the Label Studio backend alone."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotation.backend.settings import BackendSettings, settings_from_environment

if TYPE_CHECKING:
    from fastapi import FastAPI

DEFAULT_PORT = 9090
LOOPBACK = ("127.0.0.1", "localhost", "::1")

logger = logging.getLogger(__name__)


def serve(
    ctx: typer.Context,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for other machines.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = DEFAULT_PORT,
    label_studio_url: Annotated[
        str, typer.Option(envvar="LABEL_STUDIO_URL", help="Where Label Studio is; photos come from there.")
    ] = "http://localhost:8080",
    system: Annotated[
        str | None,
        typer.Option("--system", help="A system's name, or a folder of weights; bundled by default."),
    ] = None,
    allow_host: Annotated[
        list[str], typer.Option("--allow-host", help="Another host that photos may come from; repeatable.")
    ] = [],  # noqa: B006 - typer reads the default, nothing changes it
    local_root: Annotated[
        list[Path], typer.Option("--local-root", help="Folder behind Label Studio's local files; repeatable.")
    ] = [],  # noqa: B006
    state_dir: Annotated[
        Path | None, typer.Option(help="Where annotations, training runs and new weights are kept.")
    ] = None,
    max_regions: Annotated[int | None, typer.Option(min=1, help="Most regions that one click gives.")] = None,
    cache_mb: Annotated[int | None, typer.Option(min=0, help="Memory for encoded photos.")] = None,
) -> None:
    """Run the Label Studio backend alone; Ctrl-C stops it.

    Secrets come from the environment: LABEL_STUDIO_API_KEY (legacy or personal access token), and, to ask
    for a sign-in, DECLUTTER_USERNAME and DECLUTTER_PASSWORD. More settings: DECLUTTER_ALLOWED_HOSTS,
    DECLUTTER_STATE_DIR, DECLUTTER_DISK_CACHE_DIR, …
    """
    # Threads of the model that wait actively starve each other where others want the cores too: fifty times
    # slower was measured. Read when PyTorch is first loaded, so set before.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    settings = settings_from_environment(
        label_studio_url=label_studio_url,
        allowed_hosts=tuple(allow_host) or None,
        local_roots=tuple(local_root) or None,
        state_dir=state_dir,
        max_regions=max_regions,
        cache_mb=cache_mb,
        host_names=host_names_for(host),
    )
    if host not in LOOPBACK and not settings.username:
        typer.echo(
            f"warning: {host} is open to other machines and asks for no sign-in; "
            "set DECLUTTER_USERNAME and DECLUTTER_PASSWORD",
            err=True,
        )
    loader = ctx.obj.get("load_system") if isinstance(ctx.obj, dict) else None
    app = build_app(settings, system, loader)
    typer.echo(f"backend on http://{host}:{port}, photos from {settings.label_studio_url}; Ctrl-C stops it")
    run(app, host, port)


def host_names_for(host: str) -> tuple[str, ...] | None:
    """Names that a backend listening on `host` answers to; on this machine only, none but its own names."""
    return ("127.0.0.1", "localhost", "[::1]") if host in LOOPBACK else None


def build_app(
    settings: BackendSettings, system: str | None = None, loader: Callable[[str | None], Any] | None = None
) -> FastAPI:
    """The application with a selection system behind it, which loads once the application has started."""
    from annotation.backend.app import Backend, create_app
    from annotation.backend.model import ModelHolder
    from annotation.label_studio import collect_annotations, deliver_prediction
    from annotation.systems import load_served, training_runs

    holder = ModelHolder(lambda: load_served(system, settings.state_dir, loader))
    training = None
    if settings.state_dir is not None:
        training = training_runs(settings, holder, collect_annotations(settings), system)
    return create_app(Backend(settings, holder, training, deliver_prediction(settings)))


def run(app: FastAPI, host: str, port: int) -> None:
    """Serve an application until it is stopped."""
    import uvicorn

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # HTTP libraries log whole addresses, and those of cloud storage hold signatures.
    for name in ("httpx", "httpcore", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # The access log of uvicorn would show query strings; ours has request ids instead.
    uvicorn.run(app, host=host, port=port, access_log=False, log_level="warning", timeout_graceful_shutdown=5)
