"""The command line: quick, lazy, and clear about what went wrong."""

from __future__ import annotations

import importlib
import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit import cli

HEAVY = ("torch", "numpy", "cv2", "pandas", "transformers", "matplotlib", "accelerate", "scipy", "pydantic")

COMMANDS = '''
import typer
from toolkit.errors import InputError

app = typer.Typer()

@app.command()
def only(name: str = "nobody") -> None:
    """The only command of this group."""
    typer.echo(f"hello {name}")

def refuse() -> None:
    raise InputError("photo.jpg: not an image\\nthat can be read; give a JPEG")

def fail() -> None:
    raise RuntimeError("the disc is full")

def interrupt() -> None:
    raise KeyboardInterrupt

def leave() -> None:
    raise SystemExit(143)

'''


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mount a package of commands that end in every way a command can."""
    package = tmp_path / "strange_commands"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "commands.py").write_text(COMMANDS)
    (package / "needy.py").write_text("import studio_library\n\ndef serve() -> None: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    for name in ("refuse", "fail", "interrupt", "leave"):
        monkeypatch.setitem(
            cli.COMMANDS, name, cli.Entry(f"strange_commands.commands:{name}", f"Will {name}.")
        )
    monkeypatch.setitem(cli.COMMANDS, "group", cli.Entry("strange_commands.commands:app", "A group."))
    monkeypatch.setitem(cli.COMMANDS, "needy", cli.Entry("strange_commands.needy:serve", "Needs an extra."))
    monkeypatch.setitem(cli.COMMANDS, "future", cli.Entry("strange_commands.future:app", "Not written."))
    monkeypatch.setitem(cli.EXTRAS, "studio_library", "studio")
    monkeypatch.delenv(cli.DEBUG_VARIABLE, raising=False)


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import json, sys\nfrom toolkit.cli import run\ncode = run(['--help'])\n"
        f"print(json.dumps([code, [m for m in {HEAVY!r} if m in sys.modules]]))"
    )
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    exit_code, imported = json.loads(done.stdout.splitlines()[-1])
    assert exit_code == 0
    assert imported == []
    for name in ("click", "train", "demo"):
        assert cli.COMMANDS[name].help.split()[0] in done.stdout
    assert min(seconds) < 0.4  # processor time, so that a busy machine does not fail the test


def test_every_command_that_is_listed_can_be_loaded() -> None:
    for name, entry in cli.COMMANDS.items():
        if cli._exists(entry.target):
            command = cli.load_command(name, entry)
            assert command.name == name
            assert command.help, f"{name} has no help text"


def test_a_command_that_is_not_there_is_not_listed(
    commands: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["--help"]) == 0
    listed = capsys.readouterr().out
    assert "Needs an extra." in listed
    assert "Not written." not in listed
    assert cli.run(["future"]) == 2
    assert "No such command" in capsys.readouterr().err


def test_a_group_with_one_command_stays_a_group(commands: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["group", "only", "--name", "you"]) == 0
    assert capsys.readouterr().out == "hello you\n"
    assert cli.run(["group", "--help"]) == 0
    assert "The only command of this group." in capsys.readouterr().out


@pytest.mark.parametrize("name", ["group onyl", "clikc", "click --colour"])
def test_wrong_usage_is_exit_code_2(name: str, commands: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(name.split()) == 2
    assert name.split()[-1] in capsys.readouterr().err


def test_bad_input_is_one_sentence(commands: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["refuse"]) == 2
    assert capsys.readouterr().err == "error: photo.jpg: not an image that can be read; give a JPEG\n"


def test_any_other_failure_is_one_line_and_a_hint(commands: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["fail"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "the disc is full" in said
    assert "--debug" in said


def test_debug_shows_the_traceback(
    commands: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["--debug", "fail"], ["fail", "--debug"]):
        assert cli.run(arguments) == 1
        assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv(cli.DEBUG_VARIABLE, "1")
    assert cli.run(["refuse"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_interrupting_leaves_with_130(commands: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["interrupt"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_an_exit_code_of_the_command_is_kept(commands: None) -> None:
    assert cli.run(["leave"]) == 143


def test_a_missing_optional_package_names_its_extra(
    commands: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["needy"]) == 1
    assert "declutter[studio]" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"declutter {version('declutter')}\n"
