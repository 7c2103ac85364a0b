"""Label Studio in a virtual environment of its own, because its dependencies clash with everybody's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from toolkit.errors import InputError

VERSION = "1.23.2"
VENV_VARIABLE = "DECLUTTER_STUDIO_VENV"
DATA_VARIABLE = "DECLUTTER_STUDIO_DATA"
MARK = "declutter-label-studio.txt"
INSTALL_MINUTES = 30


class NotInstallableError(InputError):
    """Label Studio is not there and cannot be installed."""


def user_data_dir() -> Path:
    """Where programs keep a user's data on this system."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "declutter"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "declutter"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "declutter"


def venv_dir() -> Path:
    """Where Label Studio is installed: `DECLUTTER_STUDIO_VENV`, or below the user's data."""
    return Path(os.environ.get(VENV_VARIABLE) or user_data_dir() / f"label-studio-{VERSION}")


def data_dir() -> Path:
    """Where Label Studio keeps its data: `DECLUTTER_STUDIO_DATA`, or below the user's data."""
    return Path(os.environ.get(DATA_VARIABLE) or user_data_dir() / "studio")


def executable(venv: Path, name: str) -> Path:
    """A program of a virtual environment."""
    folder, suffix = ("Scripts", ".exe") if sys.platform == "win32" else ("bin", "")
    return venv / folder / (name + suffix)


def is_installed(venv: Path) -> bool:
    """Whether the environment has the Label Studio that this version of Declutter is made for."""
    if not executable(venv, "label-studio").is_file():
        return False
    mark = venv / MARK
    return mark.is_file() and mark.read_text(encoding="utf-8").strip() == VERSION


def ensure(venv: Path | None = None, say: Callable[[str], None] = lambda _: None) -> Path:
    """The environment with Label Studio in it, made on first use.

    Args:
        venv: where; `venv_dir()` by default. A complete environment that somebody else made is taken as it
            is.
        say: told what happens.

    Returns:
        The `label-studio` program.

    Raises:
        NotInstallableError: it could not be installed; says why.
    """
    venv = venv or venv_dir()
    program = executable(venv, "label-studio")
    if is_installed(venv):
        return program
    if program.is_file() and _installed_version(venv) == VERSION:
        _mark(venv)
        return program
    say(f"installing Label Studio {VERSION} into {venv} (about 1 GB, a few minutes, once) …")
    if venv.exists() and not (venv / "pyvenv.cfg").is_file() and any(venv.iterdir()):
        raise NotInstallableError(
            f"{venv}: is not empty and no virtual environment; set {VENV_VARIABLE} to another folder"
        )
    _run([sys.executable, "-m", "venv", "--clear", str(venv)], "make a virtual environment", venv)
    python = str(executable(venv, "python"))
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    install += ["--retries", "2", "--timeout", "15"]  # so that a machine without network learns it soon
    _run([*install, f"label-studio=={VERSION}"], f"install label-studio=={VERSION}", venv)
    _mark(venv)
    return program


def remove(venv: Path | None = None) -> None:
    """Delete the environment; the data stay."""
    shutil.rmtree(venv or venv_dir(), ignore_errors=True)


def _installed_version(venv: Path) -> str:
    code = "from importlib.metadata import version; import sys; sys.stdout.write(version('label-studio'))"
    try:
        command = [str(executable(venv, "python")), "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _mark(venv: Path) -> None:
    try:
        (venv / MARK).write_text(VERSION + "\n", encoding="utf-8")
    except OSError:  # somebody else's environment, which is complete all the same
        return


def _run(command: list[str], what: str, venv: Path) -> None:
    try:
        venv.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_MINUTES * 60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstallableError(
            f"{venv}: cannot {what} ({error}); set {VENV_VARIABLE} to another folder"
        ) from error
    if done.returncode != 0:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        last = lines[-1] if lines else "no message"
        raise NotInstallableError(
            f"{venv}: cannot {what}: {last}; check the network and the disk, then run again"
        )
