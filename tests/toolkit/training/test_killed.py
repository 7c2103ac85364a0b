"""Training in processes of its own that are really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from tests.helpers.tiny_training import TinyTask, final_weights, same_bits, tiny_schedule
from toolkit.training import fit
from toolkit.training.checkpoints import list_checkpoints

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.slow


def start(out: Path, *arguments: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "tests.helpers.tiny_training", str(out), *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_step(out: Path, step: int, process: subprocess.Popen) -> None:
    until = time.monotonic() + 120
    while not any(found >= step for found, _ in list_checkpoints(out / "checkpoints")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("uninterrupted")
    process = start(out)
    assert process.wait(180) == 0, process.stderr.read()
    return out


@pytest.mark.parametrize(
    ("number", "workers"),
    [(signal.SIGKILL, 0), (signal.SIGKILL, 1), (signal.SIGTERM, 0), (signal.SIGTERM, 1), (signal.SIGINT, 1)],
)
def test_killed_and_resumed_gives_the_same_bits(
    uninterrupted: Path, tmp_path: Path, number: signal.Signals, workers: int
) -> None:
    process = start(tmp_path, "--workers", str(workers), "--seconds", "0.01")
    wait_for_step(tmp_path, 8, process)
    time.sleep(0.13)  # somewhere between two checkpoints
    children = psutil.Process(process.pid).children(recursive=True)
    if number == signal.SIGKILL:
        process.send_signal(number)
    else:
        os.killpg(process.pid, number)  # what a terminal's Ctrl-C and `timeout` reach: the workers too
    code = process.wait(60)
    message = process.stderr.read()
    if number == signal.SIGKILL:
        assert code == -number
    else:
        assert code == 128 + number, message
        assert "--resume" in message
        assert "Traceback" not in message
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive, "a worker outlived its training process"
    step = list_checkpoints(tmp_path / "checkpoints")[-1][0]
    assert 8 <= step < 60
    resumed = start(tmp_path, "--workers", str(workers), "--resume")
    assert resumed.wait(180) == 0, resumed.stderr.read()
    assert same_bits(final_weights(tmp_path), final_weights(uninterrupted))


def test_a_signal_while_the_workers_start_is_not_lost(tmp_path: Path) -> None:
    process = start(tmp_path, "--workers", "2", "--seconds", "0.01")
    until = time.monotonic() + 120
    while len(psutil.Process(process.pid).children()) < 3:  # the resource tracker and the workers
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(60) == 143, process.stderr.read()
    assert [step for step, _ in list_checkpoints(tmp_path / "checkpoints")] == [1]


def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    """Each takes half of the batch; the mean of their gradients is the gradient of the whole."""
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29533")
    process = start(tmp_path / "two", "--plain", launcher=launcher)
    assert process.wait(180) == 0, process.stderr.read()
    fit(TinyTask(plain=True), tiny_schedule(), tmp_path / "one", resume=False)
    one, two = final_weights(tmp_path / "one"), final_weights(tmp_path / "two")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)
