"""Every module learns four pictures by heart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import nn

import models.tasks.frozen
import models.tasks.pvm
from models.cpn.heatmap import find_peaks
from models.losses import dice_loss
from models.one_click import OneClickModel
from models.one_click.finder import ObjectFinder
from models.recipes.schema import OneClickRecipe, ProposalRecipe, VerificationRecipe
from models.tasks.cpn import ProposalTask
from models.tasks.networks import as_network
from models.tasks.one_click import OneClickTask
from models.tasks.pvm import VerificationTask

pytestmark = pytest.mark.slow

Recipes = tuple[OneClickRecipe, ProposalRecipe, VerificationRecipe]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def learn(task: Any, steps: int, lr: float, fixed_norms: bool = False) -> list[dict[str, float]]:
    """Train on the first four samples; returns the losses of each step."""
    batch = task.collate([task.sample(index) for index in range(4)])
    optimizer = torch.optim.AdamW(task.parameter_groups(), lr=lr, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.1)
    task.model.train(not fixed_norms)
    history = []
    for _ in range(steps):
        losses = task.losses(task.model, batch)
        optimizer.zero_grad()
        losses["total"].backward()
        nn.utils.clip_grad_norm_(task.model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        history.append({name: value.item() for name, value in losses.items()})
    return history


@pytest.fixture
def true_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The frozen network is random: let the true masks stand in for its own."""

    def nothing(network: object, encoded: object, points: Sequence[object]) -> list[None]:
        return [None] * len(points)

    monkeypatch.setattr(models.tasks.frozen, "predicted", nothing)
    monkeypatch.setattr(models.tasks.pvm, "predicted", nothing)


def test_one_click_masks_the_clicked_objects(recipes: Recipes) -> None:
    task = OneClickTask(recipes[0])
    last = learn(task, steps=160, lr=5e-3)[-1]
    assert last["mask"] < 0.05  # Dice
    assert last["class"] < 0.01
    assert last["box"] < 0.1
    assert last["centerness"] < 0.65  # a cross-entropy of soft targets, which does not reach zero


def test_one_click_finds_what_it_learned(recipes: Recipes) -> None:
    """With one object clicked in each picture, the finder is asked what the network was taught."""
    data = recipes[0].data.model_copy(update={"clicked_objects": 1})
    task = OneClickTask(recipes[0].model_copy(update={"data": data}))
    # with the statistics that are used: those of four pictures alone differ from level to level
    last = learn(task, steps=200, lr=2e-3, fixed_norms=True)[-1]
    assert last["mask"] < 0.02
    finder = ObjectFinder(as_network(task.model, OneClickModel).eval())
    for index in range(4):
        [sample] = task.sample(index)
        encoded = finder.encode(torch.from_numpy(sample.image)[None], 96, 96)
        (found,) = finder.find(encoded, [sample.clicks])
        assert found is not None
        mask = torch.from_numpy(found.mask(96, 96, 1.0)[1::2, 1::2].astype("float32"))
        assert dice_loss(mask[None], torch.from_numpy(sample.masks).float()).item() < 0.1
        assert found.score > 0.5


@pytest.mark.usefixtures("true_masks")
def test_cpn_proposes_the_siblings(recipes: Recipes) -> None:
    task = ProposalTask(recipes[1])
    assert learn(task, steps=90, lr=3e-3)[-1]["total"] < 0.02
    network = task.model.eval()
    for index in range(4):
        sample = task.sample(index)
        (encoded,) = models.tasks.cpn.encode(task.frozen, task.collate([sample]).image, False)
        ((_, exemplars),) = task._exemplars(sample, encoded)
        masks, boxes = (torch.stack(part) for part in zip(*exemplars, strict=True))
        with torch.no_grad():
            heatmap = network([p[None] for p in encoded.pyramid], [masks], [boxes]).sigmoid()[0]
        assert sample.target is not None
        group = sample.objects[sample.target].group
        siblings = {(o.center[0] // 4, o.center[1] // 4) for o in sample.objects if o.group == group}
        peaks = {(p.x // 4, p.y // 4) for p in find_peaks(heatmap, 5, 0.5)}
        assert len(siblings) == 3
        assert peaks == siblings


@pytest.mark.usefixtures("true_masks")
def test_pvm_tells_siblings_from_others(recipes: Recipes) -> None:
    task = VerificationTask(recipes[2])
    history = learn(task, steps=50, lr=2e-3)
    assert [step["accuracy"] for step in history[-5:]] == [1] * 5
    assert history[-1]["contrastive"] < 1e-3
    assert history[-1]["total"] < 0.1 < history[0]["total"]
    # and as it is used: statistics of the training, not of the batch
    task.model.eval()
    with torch.no_grad():
        losses = task.losses(task.model, task.collate([task.sample(index) for index in range(4)]))
    assert losses["accuracy"] == 1
