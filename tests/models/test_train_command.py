"""`declutter train`, from a recipe to weights that the selector loads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from models.selector import Selector
from models.train_command import describe_schedule, duration
from tests.helpers.networks import BACKBONE
from tests.helpers.pictures import write_group_split
from tests.helpers.systems import write_objects
from toolkit.cli import run
from toolkit.training import Schedule

SCHEDULE = {
    "steps": 4, "batch_size": 2, "lr": 1e-3, "warmup_steps": 1, "workers": 0,
    "checkpoint_minutes": None, "checkpoint_steps": 2, "ema_decay": 0.5,
}  # fmt: skip


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A recipe of a tiny 1C-DSN, in the working directory."""
    monkeypatch.chdir(tmp_path)
    write_group_split(tmp_path / "photos", photos=2)
    write_objects(tmp_path / "empty", [[]])
    settings = {
        "task": "one-click",
        "model": {
            "backbone_settings": BACKBONE,
            "pyramid_channels": 16,
            "click_channels": 8,
            "head_channels": 16,
        },
        "data": {"train": "photos", "crops": [{"size": 64, "until": 1}]},
        "schedule": SCHEDULE,
    }
    Path("tiny.yaml").write_text(yaml.safe_dump(settings))
    return "tiny.yaml"


def weights(folder: str) -> dict[str, torch.Tensor]:
    return Selector.load(folder, device="cpu").models.finder.model.state_dict()


def test_trains_and_goes_on_to_the_same_weights(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", recipe]) == 0
    said = capsys.readouterr().out
    assert "4 steps" in said
    assert "step 4 of 4" in said
    # one that stops at once, then goes on
    assert run(["train", recipe, "--out", "other", "--max-minutes", "0"]) == 0
    assert "not finished: go on with --resume" in capsys.readouterr().out
    assert run(["train", recipe, "--out", "other", "--resume"]) == 0
    whole, parts = weights("runs/tiny/final"), weights("other/final")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    # another seed is another network, from other pictures
    assert run(["train", "--recipe", recipe, "--out", "third", "--seed", "1"]) == 0
    assert not torch.equal(weights("third/final")["fpn.lateral.0.weight"], whole["fpn.lateral.0.weight"])


def test_the_last_score_is_told(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", recipe, "--set", "data.val=photos", "--set", "data.val_images=1"]) == 0
    said = capsys.readouterr().out
    assert "score 0" in said
    assert "objects 6" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "train: expected one recipe"),
        (["tiny.yaml", "--recipe", "tiny.yaml"], "train: expected one recipe"),
        (["tinny.yaml"], "recipe 'tinny.yaml' is no file and no packaged recipe"),
        (["tiny.yaml", "--set", "schedule.stepz=3"], "schedule.stepz"),
        (["tiny.yaml", "--set", "model.head_width=3"], "model.head_width"),
        (["tiny.yaml", "--set", "schedule.steps=0"], "steps: expected at least 1"),
        (["tiny.yaml", "--set", "data.train=null"], "data.train: no split to train on"),
        (["tiny.yaml", "--set", "data.train=nowhere"], "data.train: 'nowhere' does not exist"),
        (["tiny.yaml", "--set", "data.val=nowhere"], "nowhere: cannot be read"),
        (["tiny.yaml", "--set", "data.val=empty"], "data.val: no image with an object in empty"),
        (
            ["tiny.yaml", "--set", "task=cpn", "--set", "model={}", "--set", "one_click=nowhere"],
            "no 1C-DSN in nowhere",
        ),
    ],
)
def test_bad_input_is_one_sentence(
    recipe: str, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in " ".join(error.split())
    assert "Traceback" not in error
    assert not Path("runs").exists()


def test_what_a_dry_run_calls_things() -> None:
    plain = Schedule(steps=10, batch_size=2, lr=0.01, warmup_steps=3)
    assert describe_schedule(plain) == (
        "10 steps of 2, adamw lr 0.01, cosine, warm-up 3, weight decay 0.05, precision no"
    )
    stepped = Schedule(steps=10, batch_size=2, lr=0.01, decay="step", milestones=(4, 8))
    assert "step ×0.1 at 4, 8" in describe_schedule(stepped)
    assert [duration(s) for s in (1, 119, 121, 7199, 7201, 86400, 172801)] == [
        "1 s", "119 s", "2.0 min", "120.0 min", "2.0 h", "24.0 h", "2.0 days"
    ]  # fmt: skip
