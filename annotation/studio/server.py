"""Start Label Studio on this machine, wait for it, stop it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from toolkit.errors import InputError
from toolkit.files import write_json_atomic

START_SECONDS = 900.0  # making the database takes 40 s at first, and many times that on a busy machine
STOP_SECONDS = 15.0
PHOTOS = "photos"
"""Folder below the data folder whose entries (links to photo folders) Label Studio may show."""


@dataclass(frozen=True)
class Account:
    """The sign-in of a Label Studio that belongs to one person, and the ports used last."""

    email: str
    password: str
    token: str
    port: int = 8080
    backend_port: int = 9090


def load_account(data: Path) -> Account:
    """The account kept in a data folder, made up on first use; only its owner can read the file.

    Raises:
        InputError: the file is damaged, or the folder cannot be written to.
    """
    path = data / "account.json"
    if path.is_file():
        try:
            return Account(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"{path}: cannot be read ({error}); repair it, or remove it with its folder"
            ) from error
    account = Account("annotator@localhost.local", secrets.token_urlsafe(12), secrets.token_hex(20))
    save_account(data, account)
    return account


def save_account(data: Path, account: Account) -> None:
    """Keep an account in a data folder."""
    path = data / "account.json"
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        path.touch(mode=0o600)
    write_json_atomic(path, asdict(account))
    path.chmod(0o600)


def free_port(wanted: int, host: str = "127.0.0.1") -> int:
    """`wanted` if nothing listens there, else any free port."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise InputError(f"no free port on {host}; close some programs and run again")


def environment_for(data: Path, account: Account, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that Label Studio starts with: quiet, offline, local files, local backends."""
    own = {
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        "LABEL_STUDIO_USERNAME": account.email,
        "LABEL_STUDIO_PASSWORD": account.password,
        "LABEL_STUDIO_USER_TOKEN": account.token,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(data / PHOTOS),
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "FEATURE_FLAGS_OFFLINE": "true",
        # The backend listens on this machine, which Label Studio refuses unless both are said.
        "ML_BLOCK_LOCAL_IP": "false",
        "USE_DEFAULT_BANNED_SUBNETS": "false",
        "PYTHONUNBUFFERED": "1",
    }
    inherited = {
        name: value
        for name, value in (os.environ if base is None else base).items()
        if not name.startswith(("LABEL_STUDIO_", "DJANGO_"))
        and name not in ("PYTHONPATH", "HOST", "HOSTNAME")
    }
    return {**inherited, **own}


class Server:
    """A Label Studio process.

    Args:
        program: the `label-studio` program.
        data: its data folder.
        account: its only account.
        port: to listen on.
        host: address to listen on.
    """

    def __init__(
        self, program: Path, data: Path, account: Account, port: int, host: str = "127.0.0.1"
    ) -> None:
        self.data, self.port, self.host = data, port, host
        self.url = f"http://{'localhost' if host in ('127.0.0.1', '0.0.0.0') else host}:{port}"
        self.log = data / "label-studio.log"
        (data / PHOTOS).mkdir(parents=True, exist_ok=True)
        command = [str(program), "start", "--no-browser", "--internal-host", host, "--port", str(port)]
        command.append("--enable-legacy-api-token")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=data,
                env=environment_for(data, account),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=sys.platform != "win32",
            )

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process.poll() is None

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Wait until it answers.

        Raises:
            InputError: it ended, or took too long; names its log.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.running:
                raise InputError(f"Label Studio stopped while starting; see {self.log}")
            if answers(f"http://127.0.0.1:{self.port}/health"):
                return
            time.sleep(0.3)
        raise InputError(f"Label Studio did not answer within {seconds:g} s; see {self.log}")

    def stop(self) -> None:
        """End the process and everything it started."""
        stop_process(self._process)


def stop_process(process: subprocess.Popen[bytes]) -> None:
    """Ask a process (and its group) to end, and end it if it does not."""
    if process.poll() is not None:
        return
    _signal(process, signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        if sys.platform == "win32":
            process.kill()
        else:
            _signal(process, signal.SIGKILL)
        process.wait(STOP_SECONDS)


def answers(url: str, seconds: float = 2.0) -> bool:
    """Whether a health address says that all is well."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as response:
            return response.status == 200 and json.loads(response.read()).get("status") == "UP"
    except (OSError, ValueError, urllib.error.URLError):
        return False


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        if sys.platform == "win32":
            process.terminate()
        else:
            os.killpg(process.pid, number)
