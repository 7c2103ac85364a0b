"""The command line: the one file of the floor that looks up, and only once a command is asked for.

`declutter --help` lists the commands from the table below without importing any of them, so it stays quick.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from toolkit.errors import InputError

DEBUG_VARIABLE = "DECLUTTER_DEBUG"


class Entry(NamedTuple):
    """Where a command lives (`module:attribute`, a function or a `typer.Typer`) and its line in `--help`."""

    target: str
    help: str


COMMANDS = {
    "click": Entry("models.click_command:click", "Select one object of a photo and all its siblings."),
    "prelabel": Entry("annotation.prelabel:prelabel", "Propose and group selections with no click."),
    "synth": Entry("synth.commands:app", "Make DistractorSyn splits: regions, build, preview."),
    "train": Entry("models.train_command:train", "Train a module or a compared system from a recipe."),
    "eval": Entry("toolkit.evaluation.commands:app", "Run an evaluation protocol on a split."),
    "data": Entry(
        "toolkit.data.commands:app", "Validate, describe, convert, merge, cut, group and browse splits."
    ),
    "studio": Entry("annotation.commands:app", "Label Studio: set up, connect, import, export."),
    "serve": Entry("annotation.serve:serve", "Run the Label Studio backend alone."),
    "models": Entry("models.commands:app", "List and describe bundled and trained models."),
    "demo": Entry("models.demo.run:demo", "Run the main job on the demo photos."),
}

# Commands that a higher package adds to a lower one's group: where they live.
ADDED = {"eval": {"regions": "synth.regions.evaluate_command:regions"}}

# Optional packages and the extra of pyproject.toml that brings each.
EXTRAS = {
    "fastapi": "studio",
    "label_studio_sdk": "studio",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "ray": "ray",
    "skimage": "demo",
    "sklearn": "demo",
    "tensorboard": "tracking",
    "uvicorn": "studio",
}


def _exists(target: str) -> bool:
    """Whether the module of a table entry is installed, found out without importing it."""
    package, *rest = target.partition(":")[0].split(".")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return False
    path = Path(spec.submodule_search_locations[0]).joinpath(*rest)
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def load_command(name: str, entry: Entry) -> Any:
    """Import the command behind a table entry as a command object that can be invoked."""
    module, _, attribute = entry.target.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if isinstance(found, typer.Typer):
        command: Any = typer.main.get_group(found)
        for other, target in ADDED.get(name, {}).items():
            if _exists(target):
                command.add_command(load_command(other, Entry(target, "")))
    else:
        alone = typer.Typer(add_completion=False)
        alone.command(name)(found)
        command = typer.main.get_command(alone)
    command.name = name
    return command


class LazyGroup(TyperGroup):
    """A group whose commands are imported when one is invoked; help shows their table lines."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in COMMANDS.items():
            if _exists(entry.target):
                self.add_command(TyperCommand(name=name, help=entry.help, callback=None))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The real command, imported now."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        if stand_in is None or name is None:
            return name, stand_in, rest
        return name, load_command(name, COMMANDS[name]), rest

    def invoke(self, ctx: Any) -> Any:
        """Run; Ctrl-C leaves with 130, as shells expect."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise SystemExit(130) from None


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"declutter {version('declutter')}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version and leave."
    ),
    debug: bool = typer.Option(
        False, "--debug", envvar=DEBUG_VARIABLE, help="Show the traceback when something fails."
    ),
) -> None:
    """Click one distractor in a photo, get its mask and the masks of all its siblings."""


def _load_system(name: str | None) -> Any:
    """The selection system with a name; `models` is imported only now."""
    return importlib.import_module("models.loading").load_system(name)


def _complain(message: str) -> None:
    typer.echo(typer.style("error: ", fg="red", bold=True) + " ".join(message.split()), err=True)


def run(arguments: list[str]) -> int:
    """Run one command line; return the exit code: 0 done, 2 bad input, 130 interrupted, 1 anything else."""
    options, bar, operands = _split_operands(arguments)
    debug = "--debug" in options or os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")
    options = [option for option in options if option != "--debug"]
    try:
        typer.main.get_command(app).main(
            args=[*options, *bar, *operands], prog_name="declutter", obj={"load_system": _load_system}
        )
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except InputError as error:
        if debug:
            traceback.print_exc()
        _complain(str(error))
        return 2
    except Exception as error:  # noqa: BLE001 - the last resort: every failure becomes one line
        if debug:
            traceback.print_exc()
            return 1
        _complain(_describe(error))
        return 1
    return 0


def _split_operands(arguments: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Cut the arguments at `--`, after which nothing is an option."""
    if "--" not in arguments:
        return arguments, [], []
    at = arguments.index("--")
    return arguments[:at], ["--"], arguments[at + 1 :]


def _describe(error: Exception) -> str:
    missing = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and missing in EXTRAS:
        extra = EXTRAS[missing]
        return f"this command needs the package {missing}: install it with pip install 'declutter[{extra}]'"
    return f"{type(error).__name__}: {error} (add --debug to see where)"


def main() -> NoReturn:
    """Entry point of the `declutter` command."""
    # Before torch is loaded: its waiting threads spin otherwise, and starve on a machine with other work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run(sys.argv[1:]))
