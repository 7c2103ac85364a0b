"""`declutter studio up`: Label Studio and the backend on this machine, with photos in, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from annotation.label_studio import LabelStudioClient
from annotation.studio.checking import BackendProbe
from annotation.studio.environment import data_dir, ensure
from annotation.studio.project import Material, ProjectBook, ensure_project, fill_locally
from annotation.studio.server import (
    PHOTOS,
    Account,
    Server,
    free_port,
    load_account,
    save_account,
    stop_process,
)
from toolkit.errors import InputError
from toolkit.report import Report

BACKEND_SECONDS = 300.0
DATABASE = "label_studio.sqlite3"
MOST_RESTARTS = 5
BACKEND_USER = "label-studio"

Say = Callable[[str], None]


@dataclass(frozen=True)
class UpOptions:
    """How to run.

    Attributes:
        host: address that Label Studio listens on; the backend stays on this machine.
        port: that Label Studio should listen on; the last one by default.
        system: of the backend; the bundled one by default.
        data: Label Studio's data folder.
        venv: Label Studio's environment.
        backend_command: starts the backend; gets `--port N`. For tests.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    system: str | None = None
    data: Path = field(default_factory=data_dir)
    venv: Path | None = None
    backend_command: Sequence[str] | None = None


@dataclass(frozen=True)
class Running:
    """What is up: the server, the backend, the account and a signed-in client."""

    server: Server
    backend: BackendProcess
    account: Account
    client: LabelStudioClient
    project: int | None = None

    @property
    def address(self) -> str:
        """Where to go: the project, if there is one."""
        return f"{self.server.url}/projects/{self.project}/data" if self.project else self.server.url

    @property
    def probe(self) -> BackendProbe:
        """Asks the backend how it is."""
        url = f"http://127.0.0.1:{self.account.backend_port}"
        return BackendProbe(url, BACKEND_USER, self.account.token)

    @property
    def ended(self) -> str:
        """What has ended by itself, in words; empty while all is well."""
        if not self.server.running:
            return f"Label Studio stopped; see {self.server.log}"
        return self.backend.keep_alive()


class BackendProcess:
    """The backend in a process of its own, started again if it dies.

    Args:
        command: starts it.
        environment: its variables.
        log: where its output goes.
        port: that it listens on.
    """

    def __init__(self, command: Sequence[str], environment: dict[str, str], log: Path, port: int) -> None:
        self._command, self._environment = list(command), environment
        self.log, self.port, self._restarts = log, port, 0
        self._process = self._start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=sys.platform != "win32",
            )

    def wait(self, seconds: float = BACKEND_SECONDS) -> None:
        """Wait until it listens (the model may still be loading).

        Raises:
            InputError: it ended, or took too long.
        """
        import socket

        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise InputError(f"the backend stopped while starting; see {self.log}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            time.sleep(0.2)
        raise InputError(f"the backend did not answer within {seconds:g} s; see {self.log}")

    def keep_alive(self) -> str:
        """Start it again if it has died; what is wrong, in words, when that does not help."""
        if self._process.poll() is None:
            return ""
        if self._restarts >= MOST_RESTARTS:
            return f"the backend stopped {self._restarts} times; see {self.log}"
        self._restarts += 1
        self._process = self._start()
        return ""

    def stop(self) -> None:
        """End it."""
        stop_process(self._process)


@contextlib.contextmanager
def running(material: Material | None, options: UpOptions, report: Report, say: Say) -> Iterator[Running]:
    """Label Studio and the backend, with a project for some material; both are stopped at the end.

    Raises:
        InputError: something cannot be started or set up; says what.
    """
    program = ensure(options.venv, say)
    with _only_one(options.data), contextlib.ExitStack() as stack:
        account = load_account(options.data)
        port = free_port(options.port or account.port, options.host)
        account = replace(account, port=port, backend_port=free_port(account.backend_port))
        save_account(options.data, account)
        first = (
            ""
            if (options.data / DATABASE).exists()
            else ", which makes its database first (a minute or more)"
        )
        say(f"starting Label Studio on {options.host}:{port}{first} …")
        server = Server(program, options.data, account, port, options.host)
        stack.callback(server.stop)
        backend = _start_backend(options, account, server)
        stack.callback(backend.stop)
        backend.wait()
        server.wait()
        client = LabelStudioClient(server.url, account.token)
        client.check()
        up = Running(server, backend, account, client)
        if material is not None:
            up = replace(up, project=_set_up(up, material, options, report, say))
        yield up
        say("stopping …")


def _set_up(up: Running, material: Material, options: UpOptions, report: Report, say: Say) -> int:
    book = ProjectBook(options.data / "projects.json")
    project = ensure_project(up.client, material, book.get(material))
    book.put(material, project)
    added, total = fill_locally(up.client, project, material, options.data / PHOTOS, report)
    skipped = f", {len(report.skipped)} left out" if report.skipped else ""
    say(f'project "{material.title}": {total} photos ({added} new{skipped})')
    up.client.connect_backend(project, up.probe.url, BACKEND_USER, up.account.token)
    return project


def _start_backend(options: UpOptions, account: Account, server: Server) -> BackendProcess:
    command = options.backend_command
    if command is None:
        command = [sys.executable, "-c", "from toolkit.cli import main; main()", "serve"]
        command += ["--system", options.system] if options.system else []
    variables = {
        "LABEL_STUDIO_URL": server.url,
        "LABEL_STUDIO_API_KEY": account.token,
        "DECLUTTER_LOCAL_ROOTS": str(options.data / PHOTOS),
        "DECLUTTER_STATE_DIR": str(options.data / "backend"),
        "DECLUTTER_USERNAME": BACKEND_USER,
        "DECLUTTER_PASSWORD": account.token,
    }
    return BackendProcess(
        [*command, "--port", str(account.backend_port)],
        {**os.environ, **variables},
        options.data / "backend.log",
        account.backend_port,
    )


@contextlib.contextmanager
def _only_one(data: Path) -> Iterator[None]:
    """Keep a second run off the same data.

    Raises:
        InputError: one is under way.
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"{data}: is in use by another `declutter studio up`; stop that one first"
            ) from error
        yield


@contextlib.contextmanager
def stop_signals() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, so that nothing is left running.

    SIGINT is set too: a shell starts what it puts into the background with SIGINT ignored.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def wait_until_stopped(up: Running) -> None:
    """Wait for Ctrl-C; the backend is started again when it dies.

    Raises:
        InputError: something ended that cannot be started again.
    """
    while not up.ended:
        time.sleep(1.0)
    raise InputError(up.ended)
