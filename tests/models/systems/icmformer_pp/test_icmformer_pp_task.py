from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from models.recipes import read_recipe
from models.recipes.schema import InteractiveRecipe
from models.systems.icmformer_pp.task import ExemplarSettings, RecallTask
from models.systems.table import definition
from tests.helpers.clicking import tiny_recipe
from tests.helpers.pictures import write_group_split
from toolkit.errors import InputError

STEM = {"stem": 8, "widths": [8, 16, 16, 16], "depths": [1, 1, 1, 1]}
MODEL = {
    "width": 32, "heads": 2, "mlp_ratio": 2, "represent_blocks": 1, "branch_blocks": 1, "cross_blocks": 1,
    "fuse_blocks": 1, "stem_settings": STEM, "likeness_settings": STEM, "likeness_channels": 8,
    "patch_side": 32, "positions": 4, "patch": 8, "level_channels": [16, 16, 16], "head_channels": 16,
}  # fmt: skip
OWN = ("branch_blocks", "likeness_settings", "likeness_channels", "patch_side")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_group_split(tmp_path_factory.mktemp("photos"))


def recipe(photos: Path, system: str = "icmformer-pp", **changes: Any) -> InteractiveRecipe:
    model = {key: value for key, value in MODEL.items() if system == "icmformer-pp" or key not in OWN}
    return tiny_recipe(photos, system, model=model, **changes)


def test_batches_come_with_exemplars(photos: Path) -> None:
    task = RecallTask(recipe(photos, training={"exemplar_probability": 1.0}))
    batch = task.collate([task.sample(index) for index in range(3)])
    assert batch.exemplar.mask.flatten(1).any(1).all()
    assert not (batch.exemplar.mask * batch.target).any()
    again = pickle.loads(pickle.dumps(batch))  # noqa: S301 - as a loader's worker sends it
    assert torch.equal(again.exemplar.points, batch.exemplar.points)
    assert (task.sample(5).points == task.sample(5).points).all()


def test_the_exemplar_reaches_the_network(photos: Path) -> None:
    task = RecallTask(recipe(photos, clicks={"rollouts": 0}))
    task.model.eval()
    batch = task.collate([task.sample(index) for index in range(2)])
    given: list[Any] = []
    task.model.register_forward_pre_hook(lambda _, arguments: given.append(arguments[3]))
    assert task.losses(task.model, batch)["total"].isfinite()
    assert given[0] is batch.exemplar


@pytest.mark.parametrize("system", ["icmformer", "icmformer-pp"])
def test_a_few_steps_learn(photos: Path, system: str) -> None:
    task = definition(system).task(recipe(photos, system, clicks={"rollouts": 1}))
    task.model.train()
    batch = task.collate([task.sample(index) for index in range(4)])
    optimiser = torch.optim.AdamW(task.parameter_groups(), lr=3e-3)
    torch.manual_seed(0)
    values = []
    for _ in range(30):
        loss = task.losses(task.model, batch)["total"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(loss.item())
    assert sum(values[-5:]) < 0.7 * sum(values[:5])


def test_click_distances_follow_the_picture_s_size() -> None:
    rules = ExemplarSettings().rules(224)
    assert (rules.most, rules.apart, rules.margin, rules.reach) == (20, 20, 10, 20)


def test_likeness_weights_are_loaded_with_the_backbone_s(photos: Path) -> None:
    def first(**changes: Any) -> torch.Tensor:
        given = recipe(photos, **changes)
        model = {k: v for k, v in given.model.items() if not k.endswith("_settings")}
        task = RecallTask(given.model_copy(update={"model": model}))
        return task.model.likeness.body.stem[0][0].weight  # type: ignore[union-attr, return-value]

    own = {"training": {"likeness_weights": "bundled"}}
    with_both = first(
        backbone_weights="bundled", schedule={"steps": 1, "batch_size": 1, "lr": 1, "seed": 1}, **own
    )
    other_seed = first(
        backbone_weights="bundled", schedule={"steps": 1, "batch_size": 1, "lr": 1, "seed": 2}, **own
    )
    assert torch.equal(with_both, other_seed)
    assert not torch.equal(with_both, first(**own))


def test_unknown_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"training\.margins"):
        read_recipe("icmformer-pp-compact", ["training.margins=3"])
    with pytest.raises(InputError, match=r"model\.fusion"):
        read_recipe("icmformer-pp-compact", ["model.fusion=mean"])
