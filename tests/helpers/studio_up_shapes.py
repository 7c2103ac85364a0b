"""`studio up` with the made-up system: `python -m tests.helpers.studio_up_shapes DATA PHOTOS`."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from annotation.studio.project import read_material
from annotation.studio.up import UpOptions, running, stop_signals, wait_until_stopped
from toolkit.report import Report


def main() -> None:
    data, photos = Path(sys.argv[1]), Path(sys.argv[2])
    command = [sys.executable, "-m", "tests.helpers.serve_shapes"]
    options = UpOptions(data=data, port=18090, backend_command=command)
    with stop_signals(), running(read_material(photos), options, Report(), typer.echo) as everything:
        try:  # whoever reads this line may send a signal before it is written
            typer.echo(f"up {everything.account.port} {everything.account.backend_port}")
            wait_until_stopped(everything)
        except KeyboardInterrupt:
            typer.echo("interrupted")


if __name__ == "__main__":
    main()
