"""Thirty-two annotators click at random on twenty photos: no error, bounded memory, figures printed."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from annotation.studio.server import free_port, stop_process
from tests.helpers.label_studio_requests import click_body, point_body, task_body
from tests.helpers.selection_system import GREEN, RED, shapes_photo
from toolkit.image import save_image

pytestmark = pytest.mark.slow

CLIENTS, PHOTOS = 32, 20
SECONDS = float(os.environ.get("DECLUTTER_LOAD_SECONDS", "60"))
WIDTH, HEIGHT = 320, 240
DISCS = [(40 + 60 * i, 50, 15, RED) for i in range(5)] + [(100 + 60 * i, 160, 20, GREEN) for i in range(3)]
SCENE_BYTES = 20_000_000
CACHE_MB = 200  # ten scenes: half of the photos, so the cache is always at work
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A backend in a process of its own, whose scenes weigh 20 MB; gives (address, process id)."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(PHOTOS):
        save_image(photos / f"{number}.png", shapes_photo(DISCS, HEIGHT, WIDTH, seed=number))
    port = free_port(0)
    variables = {"DECLUTTER_LOCAL_ROOTS": str(tmp_path), "DECLUTTER_CACHE_MB": str(CACHE_MB)}
    command = [sys.executable, "-m", "tests.helpers.serve_shapes", "--port", str(port)]
    command += ["--encode-seconds", "0.05", "--click-seconds", "0.003", "--held-bytes", str(SCENE_BYTES)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **variables, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(tmp_path / "log").open("wb"),
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        stop_process(process)


class Annotator(threading.Thread):
    """Clicks at random until told to stop; now and then with drafts, now and then on nothing."""

    def __init__(self, number: int, address: str, stop: threading.Event) -> None:
        super().__init__()
        self.chance = random.Random(number)
        self.address, self.stop_clicking = address, stop
        self.seconds: list[float] = []
        self.wrong: list[str] = []

    def run(self) -> None:
        drafts: dict[int, list] = {}
        with httpx.Client(timeout=100) as client:
            while not self.stop_clicking.is_set():
                photo = self.chance.randrange(PHOTOS)
                number = self.chance.randrange(len(DISCS) + 1)
                x, y = (10, 120) if number == len(DISCS) else DISCS[number][:2]
                known = drafts.get(photo, []) if self.chance.random() < 0.5 else []
                task = task_body(
                    f"/data/local-files/?d=photos/{photo}.png", photo, [known] if known else None
                )
                body = click_body(task, [point_body(x, y, WIDTH, HEIGHT)])
                began = time.monotonic()
                try:
                    answer = client.post(f"{self.address}/predict", json=body)
                    result = answer.json()["results"][0]["result"]
                except (httpx.HTTPError, ValueError, KeyError, IndexError) as error:
                    self.wrong.append(repr(error))
                    continue
                self.seconds.append(time.monotonic() - began)
                colour = 5 if number < 5 else 3
                expected = {0} if number == len(DISCS) else {colour} if not known else {0, colour}
                if answer.status_code != 200 or len(result) not in expected:
                    self.wrong.append(f"{answer.status_code}: {len(result)} regions, expected {expected}")
                if result:
                    drafts[photo] = result


def test_thirty_two_clients_on_twenty_photos(server, capsys):
    address, pid = server
    process = psutil.Process(pid)
    stop = threading.Event()
    annotators = [Annotator(number, address, stop) for number in range(CLIENTS)]
    memory = []
    for annotator in annotators:
        annotator.start()
    began = time.monotonic()
    slow_health = 0.0
    while time.monotonic() - began < SECONDS:
        asked = time.monotonic()
        assert httpx.get(f"{address}/health", timeout=30).json()["state"] == "ready"
        slow_health = max(slow_health, time.monotonic() - asked)
        memory.append(process.memory_info().rss)
        time.sleep(0.25)
    stop.set()
    for annotator in annotators:
        annotator.join(100)
    wrong = [one for annotator in annotators for one in annotator.wrong]
    seconds = np.array([one for annotator in annotators for one in annotator.seconds])
    metrics = httpx.get(f"{address}/metrics", timeout=30).text
    held = next(line for line in metrics.splitlines() if line.startswith("declutter_scene_cache_bytes "))
    half = len(memory) // 2
    with capsys.disabled():
        print(  # noqa: T201 - the figures are the point
            f"\n{len(seconds)} clicks by {CLIENTS} clients on {PHOTOS} photos in {SECONDS:.0f} s: "
            f"median {np.median(seconds) * 1000:.0f} ms, "
            f"99 % under {np.quantile(seconds, 0.99) * 1000:.0f} ms, "
            f"{len(wrong)} errors; health answered within {slow_health * 1000:.0f} ms; memory "
            f"{memory[0] >> 20} MB at first, at most {max(memory) >> 20} MB "
            f"({max(memory[half:]) >> 20} MB in the second half); cache {float(held.split()[1]) / 1e6:.0f} MB"
        )
    assert wrong == []
    assert len(seconds) > CLIENTS
    assert float(held.split()[1]) <= CACHE_MB << 20
    # The cache, a scene in the making for each photo at most, and what requests need for a moment.
    assert max(memory) - memory[0] < (CACHE_MB << 20) + PHOTOS * SCENE_BYTES + (300 << 20)
