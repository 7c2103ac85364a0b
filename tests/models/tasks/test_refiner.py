"""What the mask refiner learns from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import models.tasks.refiner
from models.data.refiner_samples import RefinerSample
from models.one_click.found_object import FoundObject
from models.recipes.schema import RefinerRecipe
from models.refiner import RefinerModel
from models.tasks.networks import as_network
from models.tasks.refiner import RefinerTask, jittered, truth_in
from tests.helpers.systems import box_mask, object_of, write_objects


@pytest.fixture(scope="module")
def recipe(settings: dict[str, dict[str, Any]]) -> RefinerRecipe:
    return RefinerRecipe(**settings["refiner"])


class CoarseFinder:
    """Finds the square of 24 pixels around a click, then one twice as large."""

    def __init__(self, network: object) -> None:
        self.network = network

    def candidates(self, encoded: object, groups: list[list[tuple[float, float]]]) -> list[list[FoundObject]]:
        answers = []
        for clicks in groups:
            x, y = clicks[0]
            own = []
            for cells in (6, 12):
                row, column = (max(int(value) // 4 - cells // 2, 0) for value in (y, x))
                logits = np.ones((cells, cells), np.float32)
                own.append(FoundObject(logits, row, column, 0.5, tuple(clicks)))
            answers.append(own)
        return answers


def test_it_starts_from_the_frozen_backbone(recipe: RefinerRecipe) -> None:
    task = RefinerTask(recipe)
    fresh = RefinerTask(recipe.model_copy(update={"backbone_from_one_click": False}))
    frozen = models.tasks.refiner.load_frozen(recipe.one_click).backbone.state_dict()
    own, other = (as_network(t.model, RefinerModel).backbone.state_dict() for t in (task, fresh))
    assert all(torch.equal(own[name], value) for name, value in frozen.items())
    assert not all(torch.equal(other[name], value) for name, value in frozen.items())


def test_squares_keep_their_middle_or_nearly() -> None:
    assert jittered((10.0, 20.0, 40.0), np.array([0.5, 0.5, 0.5])) == pytest.approx((10, 20, 40))
    assert jittered((10.0, 20.0, 40.0), np.array([1.0, 0.5, 0.5])) == pytest.approx((4, 14, 52))
    assert jittered((10.0, 20.0, 40.0), np.array([0.5, 0.0, 1.0])) == pytest.approx((6, 24, 40))


def test_truth_in_squares() -> None:
    masks = torch.zeros(2, 32, 32)
    masks[:, 8:16, 8:24] = 1  # 128 pixels
    coverage, areas = truth_in(masks, [(0.0, 0.0, 32.0), (16.0, 8.0, 8.0)], 4)
    assert coverage[0].tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert areas.tolist() == [2, 32]  # values of 8 × 8 and of 2 × 2 pixels
    assert (coverage[1] == 1).all()


def test_losses_fall(recipe: RefinerRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.tasks.refiner, "ObjectFinder", CoarseFinder)
    monkeypatch.setattr(models.tasks.refiner, "encode", lambda network, image, last: [None] * len(image))
    task = RefinerTask(recipe)
    batch = task.collate([task.sample(index) for index in range(4)])
    optimizer = torch.optim.AdamW(task.parameter_groups(), lr=3e-3, weight_decay=0.0)
    task.model.train()
    history = []
    for _ in range(60):
        losses = task.losses(task.model, batch)
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
        history.append({name: value.item() for name, value in losses.items()})
    assert history[0]["after"] == pytest.approx(history[0]["before"], abs=0.02)  # it starts with no change
    assert history[-1]["after"] > history[0]["before"] + 0.2
    assert history[-1]["total"] < 0.7 * history[0]["total"]


def test_a_batch_without_objects_still_has_gradients(recipe: RefinerRecipe) -> None:
    task = RefinerTask(recipe)
    sample = task.sample(0)
    empty = RefinerSample(sample.image, sample.masks[:0], [], sample.draws[:0])
    losses = task.losses(task.model, task.collate([empty]))
    losses["total"].backward()
    assert losses["total"].item() == 0


def test_final_weights_and_validation(recipe: RefinerRecipe, tmp_path: Path) -> None:
    write_objects(tmp_path / "val", [[object_of(box_mask(16, 16, 32, 32, (64, 64)))]])
    data = recipe.data.model_copy(update={"val": tmp_path / "val", "val_images": 1})
    task = RefinerTask(recipe.model_copy(update={"data": data}))
    assert set(task.evaluate(task.model.eval())) == {"score", "objects"}
    task.save(task.model, tmp_path / "final")
    again = RefinerModel.from_pretrained(tmp_path / "final").state_dict()
    assert all(torch.equal(value, again[name]) for name, value in task.model.state_dict().items())


def test_which_candidate_is_taken(recipe: RefinerRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.tasks.refiner, "ObjectFinder", CoarseFinder)
    task = RefinerTask(recipe)
    sample = replace(task.sample(0), clicks=[[(48.0, 48.0)]] * 3, draws=np.full((3, 4), 0.5, np.float32))
    sample.draws[:, 0] = (0.69, 0.75, 0.99)  # the best one below 0.7; from there each of the two
    items, _, own = task._crops(sample, None, as_network(task.model, RefinerModel).config)  # type: ignore[arg-type]
    assert [item.found.logits.shape[0] for item in items] == [6, 6, 12]
    assert own == [0, 1, 2]
