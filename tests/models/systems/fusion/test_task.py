from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.initial_weights import initial_weights
from models.loading import BUNDLED, load_network
from models.one_click import OneClickModel
from models.recipes import read_recipe
from models.systems.fusion.config import FusionConfig
from models.systems.fusion.network import FusionNetwork
from models.systems.fusion.task import FusionTask
from models.systems.loading import load_compared
from tests.helpers.clicking import tiny_recipe
from tests.helpers.fusion import TINY
from tests.helpers.pictures import write_group_split
from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.training import Schedule, fit


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_group_split(tmp_path_factory.mktemp("photos"))


def task_of(photos: Path, phase: str, fusion: str = "multi", jitter: float = 4.0) -> FusionTask:
    training = {"phase": phase, "jitter": jitter}
    return FusionTask(tiny_recipe(photos, "fusion", model={**TINY, "fusion": fusion}, training=training))


def schedule(steps: int) -> Schedule:
    return Schedule(
        steps=steps, batch_size=4, lr=5e-3, warmup_steps=2, workers=0, log_every=1, weight_decay=0.01
    )


def test_one_click_near_the_centre_of_mass(photos: Path) -> None:
    exact, jittered = task_of(photos, "joint", jitter=0.0), task_of(photos, "joint", jitter=4.0)
    moved = 0
    for index in range(5):
        sample = exact.sample(index)
        assert sample.points.shape == (1, 3)
        rows, columns = np.nonzero(sample.mask)
        x, y, kind = sample.points[0]
        assert kind == 1
        # the shapes are solid: the centre of mass lies on them
        assert (x, y) == pytest.approx((columns.mean() + 0.5, rows.mean() + 0.5), abs=1e-3)
        other = jittered.sample(index).points[0]
        assert np.abs(other[:2] - sample.points[0, :2]).max() <= 4
        moved += bool((other[:2] != sample.points[0, :2]).any())
    assert moved == 5


def test_the_late_phase_learns_the_stream_and_its_weights_in_the_head_only(
    photos: Path, tmp_path: Path
) -> None:
    task = task_of(photos, "late")
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    fit(task, schedule(3), tmp_path / "late", resume=False)
    changed = {
        name for name, value in task.model.state_dict().items() if not torch.equal(value, before[name])
    }
    assert {name.split(".")[0] for name in changed} == {"stream", "head"}
    assert all(name.startswith("stream.") or ".joined." in name for name in changed)
    assert any("running_mean" in name for name in changed)  # the stream's own statistics go on
    assert "head.merge.joined.weight" in changed


def test_the_other_phases_learn_everything(photos: Path) -> None:
    for phase, fusion in (("early", "early"), ("joint", "multi")):
        assert all(weights.requires_grad for weights in task_of(photos, phase, fusion).model.parameters())
    with pytest.raises(InputError, match="nothing to learn late"):
        task_of(photos, "late", "early")


def test_each_phase_starts_from_the_one_before(photos: Path, tmp_path: Path) -> None:
    early = task_of(photos, "early", "early")
    early.save(early.model, tmp_path / "early")
    late = task_of(photos, "late")
    weights = initial_weights(late.model, tmp_path / "early")
    fit(late, schedule(1), tmp_path / "late", resume=False, init_from=weights)
    own, given = late.model.state_dict(), early.model.state_dict()
    assert torch.equal(own["head.merge.own.weight"], given["head.merge.own.weight"])
    assert torch.equal(own["backbone.stem.0.0.weight"], given["backbone.stem.0.0.weight"])


def test_the_compact_network_starts_from_the_bundled_backbone() -> None:
    network = FusionNetwork(FusionConfig())
    click = network.backbone.stem[0][0].weight[:, 3:].clone()
    network.load_backbone("bundled")
    one_click = load_network(OneClickModel, BUNDLED / "one-click", None, torch.device("cpu"))
    given = one_click.backbone.state_dict()
    own = network.backbone.state_dict()
    assert torch.equal(own["stem.0.0.weight"][:, :3], given["stem.0.0.weight"])
    assert torch.equal(own["stem.0.0.weight"][:, 3:], click)
    name = "stages.3.0.first.0.weight"
    assert torch.equal(own[name], given[name])


@pytest.mark.slow
def test_a_tiny_training_lowers_the_loss_and_the_weights_answer_clicks(photos: Path, tmp_path: Path) -> None:
    task = task_of(photos, "joint")
    batch = task.collate([task.sample(index) for index in range(8)])
    with torch.no_grad():
        before = task.losses(task.model.train(), batch)["total"].item()
    fit(task, schedule(40), tmp_path / "run", resume=False)
    with torch.no_grad():
        after = task.losses(task.model.train(), batch)["total"].item()
    assert after < 0.7 * before
    system = load_compared(str(tmp_path / "run" / "final"))
    assert system is not None
    assert system.name == "fusion"
    assert system.parameters > 10_000
    x, y, _ = task.sample(0).points[0]
    found = system.encode(np.ascontiguousarray(task.sample(0).image.transpose(1, 2, 0))).segment(
        [Click(float(x), float(y))]
    )
    assert found is not None
    assert found.mask.shape == (96, 96)


@pytest.mark.parametrize("size", ["r101", "compact"])
def test_recipes_of_the_three_phases(size: str) -> None:
    early, late, joint = (read_recipe(f"fusion-{size}{end}") for end in ("-early", "-late", ""))
    assert [recipe.training["phase"] for recipe in (early, late, joint)] == ["early", "late", "joint"]
    assert [recipe.model["fusion"] for recipe in (early, late, joint)] == ["early", "multi", "multi"]
    assert early.init_from is None
    assert late.init_from == Path(f"runs/fusion-{size}-early/final")
    assert joint.init_from == Path(f"runs/fusion-{size}-late/final")
    assert (late.backbone_weights, joint.backbone_weights) == (None, None)


def test_the_published_schedule() -> None:
    recipes = [read_recipe(f"fusion-r101{end}") for end in ("-early", "-late", "")]
    assert [recipe.schedule.epochs for recipe in recipes] == [33, 8, 5]
    schedule = recipes[0].schedule
    # 1e-8 of a sum over five pictures of 512 × 512 pixels, which is 2 N times the mean
    assert schedule.lr == pytest.approx(1e-8 * 2 * 5 * 512 * 512, rel=0.01)
    assert schedule.lr * schedule.weight_decay == pytest.approx(1e-8 * 5e-4, rel=0.01)
    assert (schedule.optimizer, schedule.momentum, schedule.nesterov) == ("sgd", 0.9, True)
    assert recipes[0].training["jitter"] == 50
