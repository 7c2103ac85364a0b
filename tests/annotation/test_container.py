"""The container files, as far as they can be checked without Docker."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import uvicorn
import yaml

from annotation.backend.app import Backend, create_app
from annotation.backend.model import ModelHolder, Served
from annotation.backend.ping import ping
from annotation.backend.settings import VARIABLES, BackendSettings
from annotation.studio.environment import VERSION
from annotation.studio.server import free_port
from tests.helpers.selection_system import ShapesSystem

ROOT = Path(__file__).resolve().parents[2]


def test_compose_says_what_the_backend_reads():
    compose = yaml.safe_load((ROOT / "annotation" / "compose.yaml").read_text())
    backend, studio = compose["services"]["backend"], compose["services"]["label-studio"]
    assert set(backend["environment"]) <= set(VARIABLES)
    assert studio["image"].endswith(f":{VERSION}")
    assert backend["build"] == {"context": "..", "dockerfile": "annotation/Dockerfile"}
    for service in (backend, studio):
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_the_dockerfile_copies_what_is_there():
    lines = (ROOT / "annotation" / "Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]
    missing = [name for name in copied if not (ROOT / name).exists()]
    assert missing in ([], ["constraints.txt"])
    installs = [line for line in lines if "pip install" in line]
    assert installs
    assert all("--constraint constraints.txt" in line for line in installs)
    assert "opencv-python-headless" in installs[-1]  # the last word on cv2/, which two packages write
    assert "USER declutter" in lines


def test_what_the_dockerfile_copies_is_not_ignored():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    lines = (ROOT / "annotation" / "Dockerfile").read_text().splitlines()
    assert {word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]} == kept


@pytest.mark.parametrize("sign_in", [False, True])
def test_the_health_check_asks_the_backend(monkeypatch, sign_in):
    for name in ("DECLUTTER_USERNAME", "DECLUTTER_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
        if sign_in:
            monkeypatch.setenv(name, "hush")
    settings = BackendSettings(username="hush", password="hush") if sign_in else BackendSettings()
    port = free_port(0)
    assert not ping(port)
    app = create_app(Backend(settings, ModelHolder(lambda: Served(ShapesSystem(), "shapes-1"))))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    assert ping(port)
    if sign_in:
        monkeypatch.setenv("DECLUTTER_PASSWORD", "wrong")
        assert not ping(port)
    server.should_exit = True
    thread.join(20)
