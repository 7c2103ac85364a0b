"""`declutter train --dry-run`: what it counts, what it measures, what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.dry_run import DryRun, measure, measured_pictures
from tests.helpers.networks import random_one_click
from tests.helpers.pictures import write_group_split
from tests.helpers.tiny_training import tiny_schedule
from toolkit.cli import run


class LinearTask:
    """y = Wx with a weight of 3 × 5, and a frozen layer that it does not use."""

    def __init__(self) -> None:
        self.model: torch.nn.Module = torch.nn.Linear(5, 3, bias=False)
        self.frozen = torch.nn.Linear(2, 2)
        self.asked: list[int] = []

    def sample(self, index: int) -> np.ndarray:
        self.asked.append(index)
        return np.ones(5, np.float32)

    def collate(self, samples: list[np.ndarray]) -> dict[str, torch.Tensor]:
        return {"x": torch.from_numpy(np.stack(samples))}

    def losses(self, model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"total": model(batch["x"]).square().mean()}

    def parameter_groups(self) -> list[dict]:
        return [{"params": list(self.model.parameters())}]

    def evaluate(self, model: torch.nn.Module) -> dict[str, float]:
        raise AssertionError("a dry run validates nothing")

    def save(self, model: torch.nn.Module, folder: Path) -> None:
        raise AssertionError("a dry run saves nothing")


def ticking():
    """A clock that goes on by one second each time it is looked at."""
    now = iter(range(10_000))
    return lambda: float(next(now))


def test_counts_and_times() -> None:
    task = LinearTask()
    schedule = tiny_schedule(steps=100, batch_size=4, ema_decay=None)
    found = measure(task, schedule, crop=64, clock=ticking())
    assert (found.trainable, found.frozen) == (15, 6)
    assert found.flops == 2 * 15  # a multiplication and an addition for each weight
    assert found.pictures == 4
    assert found.seconds_per_step == found.seconds_per_batch == 1
    assert set(found.losses) == {"total"}
    assert len(task.asked) == 1 + 4 * 4
    assert max(task.asked) == 399  # the run's last picture, which is as large as any


def test_few_pictures_stand_for_a_batch_that_is_too_large_to_try() -> None:
    assert measured_pictures(16, 800) == 3  # 8 · 512² pixels hold 3.3 of them
    assert measured_pictures(16, 4096) == 1
    assert measured_pictures(8, 320) == 8
    found = measure(LinearTask(), tiny_schedule(batch_size=16), crop=800, clock=ticking())
    assert found.pictures == 3
    assert found.seconds_per_step == pytest.approx(16 / 3)


@pytest.mark.parametrize(
    ("workers", "expected"),
    # step 2 s, pictures 6 s: without workers both, with two the pictures take 3 s, with four the step rules
    [(0, 800), (2, 300), (4, 200)],
)
def test_the_estimate_is_of_what_takes_longest(workers: int, expected: float) -> None:
    found = DryRun(1, 0, 0, {}, 4, seconds_per_step=2, seconds_per_batch=6, device="cpu")
    assert found.seconds(tiny_schedule(steps=100, workers=workers)) == expected


def test_the_command_says_it_all_and_leaves_nothing(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    photos = write_group_split(tmp_path / "photos")
    random_one_click().save_pretrained(tmp_path / "frozen")
    common = [
        "--dry-run", "--set", f"data.train={photos}", "--set", "data.crops=[{size: 64, until: 1}]",
        "--set", "schedule.batch_size=2", "--set", "schedule.steps=null", "--set", "schedule.epochs=10",
        "--workers", "0",
    ]  # fmt: skip
    tiny = "{stem: 8, widths: [8, 16, 16, 16], depths: [1, 1, 1, 1]}"
    refiner = ["--set", "model.crop=32", "--set", f"model.backbone_settings={tiny}"]
    for arguments in (
        ["one-click-compact", "--set", f"model.backbone_settings={tiny}"],
        ["cpn-compact", "--set", f"one_click={tmp_path / 'frozen'}", "--set", "model.channels=16"],
        ["pvm-compact", "--set", f"one_click={tmp_path / 'frozen'}", "--set", "false_proposals=0"],
        ["refiner-compact", "--set", f"one_click={tmp_path / 'frozen'}", *refiner],
    ):
        assert run(["train", *arguments, *common]) == 0
        said = capsys.readouterr().out
        assert "schedule: 20 steps of 2, adamw lr" in said  # 10 epochs of four photos
        for part in ("M learn", "GFLOPs forward for a picture of 64 px", "total ", "estimate: "):
            assert part in said
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_needs_no_pretrained_weights(tmp_path: Path, capsys) -> None:
    photos = write_group_split(tmp_path / "photos")
    tiny = "{embedding_size: 8, hidden_sizes: [8, 16, 16, 16], depths: [1, 1, 1, 1], layer_type: basic}"
    settings = [
        f"data.train={photos}", "data.crops=[{size: 64, until: 1}]", f"model.backbone_settings={tiny}",
        "model.head_channels=32", "model.kernel_channels=32", "model.mask_channels=16", "schedule.workers=0",
        "backbone_weights=/no/such/folder",
    ]  # fmt: skip
    given = [part for setting in settings for part in ("--set", setting)]
    assert run(["train", "one-click-r50-panoptic", "--dry-run", *given]) == 0
    assert "90000 steps of 16, sgd lr 0.01, step ×0.1 at 60000, 80000" in capsys.readouterr().out
    assert run(["train", "one-click-r50-panoptic", *given, "--out", str(tmp_path / "run")]) == 2
    assert "backbone_weights" in capsys.readouterr().err


def test_a_stage_whose_predecessor_is_missing_says_so(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    photos = write_group_split(tmp_path / "photos")
    tiny = "{embedding_size: 8, hidden_sizes: [8, 16, 16, 16], depths: [1, 1, 1, 1], layer_type: basic}"
    settings = [f"data.train={photos}", f"model.backbone_settings={tiny}", "model.head_channels=32"]
    given = [part for setting in settings for part in ("--set", setting)]
    assert run(["train", "one-click-r101-lvis", *given]) == 2
    said = capsys.readouterr().err
    assert "runs/one-click-r101-panoptic/final" in said
    assert "no such weights" in said
