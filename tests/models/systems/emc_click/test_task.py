"""Training: roll-outs from the first click, losses of both networks, and that it learns."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from models.systems.clicking.losses import normalised_focal_loss
from models.systems.emc_click.task import EmcClickTask
from tests.helpers.clicking import tiny_recipe
from tests.helpers.emc_click import SETTINGS
from tests.helpers.pictures import write_group_split


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_group_split(tmp_path_factory.mktemp("photos"))


def make_task(photos: Path, **changes: Any) -> EmcClickTask:
    settings = {
        "model": {k: v for k, v in SETTINGS.items() if k != "first_size"},
        "clicks": {"most": 1, "rollouts": 3},
    }
    return EmcClickTask(tiny_recipe(photos, "emc-click", **{**settings, **changes}))


def test_roll_outs_start_from_the_first_click_and_run_the_base_once(photos: Path) -> None:
    task = make_task(photos)
    batch = task.collate([task.sample(index) for index in range(3)])
    passes: list[int] = []
    task.model.backbone.register_forward_hook(lambda *_: passes.append(1))
    seen = set()
    for seed in range(16):
        torch.manual_seed(seed)
        passes.clear()
        points, previous = task.roll_out(task.model, batch)
        rounds = points.shape[1] - 1
        seen.add(rounds)
        assert len(passes) == min(rounds, 1)
        assert torch.equal(points[:, 0], batch.points[:, 0])
        assert (points[:, 0, 2] == 1).all()
        assert bool(previous.any()) == (rounds > 0)
        assert not previous.requires_grad
        assert task.model.training
    assert seen == {0, 1, 2, 3}


def test_the_loss_is_the_sum_of_both_masks_losses(photos: Path) -> None:
    task = make_task(photos, training={"base_weight": 0.5}, clicks={"most": 1, "rollouts": 0})
    task.model.eval()
    batch = task.collate([task.sample(index) for index in range(2)])
    with torch.no_grad():
        losses = task.losses(task.model, batch)
        output = task.model(batch.image, batch.points[:, :1], torch.zeros_like(batch.target))
    refined = normalised_focal_loss(output.logits, batch.target)
    base = normalised_focal_loss(output.coarse, batch.target)
    assert losses["refined"] == refined
    assert losses["base"] == base
    assert losses["total"] == pytest.approx(float(refined + 0.5 * base))


def test_loader_workers_get_the_task(photos: Path) -> None:
    task = make_task(photos)
    del task.model  # the training loop leaves it behind
    assert (pickle.loads(pickle.dumps(task)).sample(1).image == task.sample(1).image).all()  # noqa: S301


@pytest.mark.slow
def test_a_few_steps_learn_four_pictures(photos: Path) -> None:
    task = make_task(photos, clicks={"most": 1, "rollouts": 0})
    batch = task.collate([task.sample(index) for index in range(4)])
    optimizer = torch.optim.Adam(task.parameter_groups(), lr=1e-2)
    history = []
    for _ in range(40):
        losses = task.losses(task.model, batch)
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
        history.append({name: value.item() for name, value in losses.items()})
    for name in ("total", "base"):
        before = sum(step[name] for step in history[:5])
        after = sum(step[name] for step in history[-5:])
        assert after < 0.85 * before, name
