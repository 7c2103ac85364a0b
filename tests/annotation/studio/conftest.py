"""A real Label Studio, started once for all its tests, with a made-up selection system behind it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from annotation.studio.environment import ensure, venv_dir
from annotation.studio.project import read_material
from annotation.studio.up import UpOptions, running
from tests.helpers.selection_system import BLUE, GREEN, RED, shapes_photo
from toolkit.errors import InputError
from toolkit.image import save_image
from toolkit.report import Report

WIDTH, HEIGHT = 640, 480
DISCS = [(100 + 110 * i, 120, 28, RED) for i in range(5)] + [(150, 320, 40, GREEN), (500, 360, 30, BLUE)]
ROOT = Path(__file__).resolve().parents[3]
ARTEFACTS = ROOT / "runs" / "browser-tests"


@pytest.fixture(scope="session")
def venv() -> Path:
    """Label Studio's environment: made once on a machine, then kept."""
    try:
        ensure()
    except InputError as error:
        pytest.skip(f"Label Studio cannot be installed here: {error}")
    return venv_dir()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser."""
    pytest.importorskip("playwright", reason="Playwright is not installed (pip install playwright)")
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no Chromium here (apt-get install chromium)")


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight photos of discs, each with its own noise."""
    folder = tmp_path_factory.mktemp("studio") / "my photos"
    folder.mkdir()
    for number in range(8):
        save_image(folder / f"photo {number}.png", shapes_photo(DISCS, HEIGHT, WIDTH, seed=number, hole=8))
    return folder


@pytest.fixture(scope="session")
def options(tmp_path_factory: pytest.TempPathFactory, venv: Path) -> UpOptions:
    """How to start Label Studio with the made-up system."""
    command = [sys.executable, "-m", "tests.helpers.serve_shapes", "--encode-seconds", "0.5"]
    os.environ["PYTHONPATH"] = str(ROOT)
    return UpOptions(
        data=tmp_path_factory.mktemp("studio-data"), venv=venv, port=18080, backend_command=command
    )


@pytest.fixture(scope="session")
def first_run(options: UpOptions, photos: Path) -> SimpleNamespace:
    """What a first `studio up` left behind, after it was stopped."""
    said: list[str] = []
    with running(read_material(photos), options, Report(), said.append) as up:
        facts = SimpleNamespace(project=up.project, email=up.account.email, password=up.account.password)
        facts.tasks = [(task.id, task.data["image"]) for task in up.client.tasks(up.project)]
    facts.said = said
    return facts


@pytest.fixture(scope="session")
def studio(first_run: SimpleNamespace, options: UpOptions, photos: Path) -> Iterator[SimpleNamespace]:
    """A second run on the same data, up for all tests: `up`, and what it said while starting."""
    said: list[str] = []
    with running(read_material(photos), options, Report(), said.append) as up:
        yield SimpleNamespace(up=up, said=said, client=up.client, project=up.project)
