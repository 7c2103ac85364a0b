"""Training by simulated clicks."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from models.recipes import build_task
from models.systems.clicking.losses import normalised_focal_loss
from models.systems.clicking.network import logits_of
from models.systems.clicking.task import InteractiveTask, next_points, scaled_groups
from models.systems.loading import load_compared
from models.systems.table import TRAINED, definition
from tests.helpers.clicking import tiny_recipe
from tests.helpers.pictures import write_group_split
from toolkit.errors import InputError
from toolkit.training import fit


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_group_split(tmp_path_factory.mktemp("photos"))


def test_samples_show_one_object_with_its_points(photos: Path) -> None:
    task = InteractiveTask(tiny_recipe(photos))
    for index in range(6):
        sample = task.sample(index)
        assert sample.image.shape == (3, 96, 96)
        assert len(sample.others) == 5
        assert sorted(sample.groups).count(sample.group) == 2  # two siblings of three
        assert not (sample.others & sample.mask).any()
        for x, y, kind in sample.points:
            if kind >= 0:
                assert sample.mask[int(y), int(x)] == (kind == 1)
    same, other = task.sample(3), task.sample(4)
    assert (task.sample(3).points == same.points).all()
    assert (same.points != other.points).any()
    workers = pickle.loads(pickle.dumps({k: v for k, v in vars(task).items() if k != "model"}))  # noqa: S301
    assert (workers["stream"].picture(3)[0].image.transpose(2, 0, 1) == same.image).all()


def test_batches_hold_others_where_asked(photos: Path) -> None:
    from models.systems.clicking.samples import collate

    task = InteractiveTask(tiny_recipe(photos))
    samples = [task.sample(index) for index in range(2)]
    batch = task.collate(samples)
    assert batch.image.shape == (2, 3, 96, 96)
    assert batch.target.shape == (2, 1, 96, 96)
    assert batch.points.shape == (2, 48, 3)
    assert batch.others == []
    full = collate(samples, with_others=True)
    assert [len(o) for o in full.others] == [5, 5]
    assert [int(s.sum()) for s in full.siblings] == [2, 2]
    assert full.to(torch.device("meta")).others[0].device.type == "meta"


def test_without_roll_outs_the_loss_is_that_of_one_pass(photos: Path) -> None:
    recipe = tiny_recipe(photos, clicks={"rollouts": 0}, loss={"alpha": 0.7})
    task = InteractiveTask(recipe)
    batch = task.collate([task.sample(index) for index in range(2)])
    task.model.eval()
    with torch.no_grad():
        losses = task.losses(task.model, batch)
        logits = logits_of(task.model(batch.image, batch.points, torch.zeros_like(batch.target)))
    assert losses["total"] == normalised_focal_loss(logits, batch.target, 0.7)


def test_roll_outs_click_on_errors_and_show_the_mask_before(photos: Path) -> None:
    task = InteractiveTask(tiny_recipe(photos))
    batch = task.collate([task.sample(index) for index in range(2)])
    task.model.train()
    statistics = task.model.backbone.stem[0][1].running_mean.clone()
    seen = set()
    for seed in range(12):
        torch.manual_seed(seed)
        points, previous = task.roll_out(task.model, batch)
        rounds = points.shape[1] - 48
        seen.add(rounds)
        assert torch.equal(points[:, :48], batch.points)
        assert previous.any() == (rounds > 0)
        assert not previous.requires_grad
        if rounds == 1:
            task.model.eval()
            with torch.no_grad():
                expected = task.model(
                    batch.image, batch.points, torch.zeros_like(batch.target)
                ).logits.sigmoid()
            task.model.train()
            assert torch.allclose(previous, expected, atol=1e-6)
    assert seen == {0, 1, 2, 3}
    assert task.model.training
    assert torch.equal(task.model.backbone.stem[0][1].running_mean, statistics)


def test_the_mask_before_can_be_withheld(photos: Path) -> None:
    task = InteractiveTask(tiny_recipe(photos, clicks={"drop_previous": 1.0}))
    torch.manual_seed(0)
    for _ in range(4):
        assert not task.roll_out(task.model, task.collate([task.sample(0)]))[1].any()


def test_next_points_of_a_batch() -> None:
    target = torch.zeros(3, 1, 16, 16)
    target[:, :, 4:9, 4:9] = 1
    previous = torch.stack([torch.zeros(1, 16, 16), torch.ones(1, 16, 16) * 0.9, target[2]])
    found = next_points(target, previous)
    assert found.shape == (3, 1, 3)
    assert found[:, 0, 2].tolist() == [1, 0, -1]
    assert 4 <= found[0, 0, 0] < 9


def test_the_backbone_may_learn_slower(photos: Path) -> None:
    network = InteractiveTask(tiny_recipe(photos)).model
    assert len(scaled_groups(network, 1.0)) == 2
    groups = scaled_groups(network, 0.1)
    assert [group.get("lr_scale") for group in groups] == [0.1, None, 0.1, None]
    assert {id(p) for group in groups for p in group["params"]} == {id(p) for p in network.parameters()}
    own = {id(p) for p in network.backbone.parameters()}
    assert all((id(p) in own) == ("lr_scale" in group) for group in groups for p in group["params"])


@pytest.mark.slow
def test_four_pictures_are_learned(photos: Path) -> None:
    task = InteractiveTask(tiny_recipe(photos))
    batch = task.collate([task.sample(index) for index in range(4)])
    task.model.train()
    optimizer = torch.optim.AdamW(task.parameter_groups(), lr=1e-2, weight_decay=0.0)
    totals = []
    for _ in range(200):
        nothing = torch.zeros_like(batch.target)
        total = task.forward_losses(task.model, batch, batch.points, nothing)["total"]
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert min(totals[-50:]) < 0.4 * totals[0], totals[::20]


def test_the_weights_of_a_run_answer_clicks(photos: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(photos, schedule={"steps": 3, "batch_size": 4, "lr": 5e-3, "warmup_steps": 0,
                                           "workers": 0, "log_every": 20})  # fmt: skip
    task = InteractiveTask(recipe)
    from models.recipes.build import build_schedule

    result = fit(task, build_schedule(recipe.schedule), tmp_path, resume=False)
    loaded = load_compared(result["final"], device="cpu")
    assert loaded is not None
    assert loaded.name == "ritm"
    state = task.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in loaded.network.state_dict().items())
    sample = task.sample(0)
    scene = loaded.encode(sample.image.transpose(1, 2, 0).copy())
    assert scene.height == 96


def test_validation_clicks_objects(photos: Path) -> None:
    recipe = tiny_recipe(photos)
    with_val = recipe.model_copy(
        update={"data": recipe.data.model_copy(update={"val": photos, "val_images": 2})}
    )
    task = InteractiveTask(with_val)
    task.model.train()
    scores = task.evaluate(task.model)
    assert scores["objects"] == 8  # four of each photo
    assert 0 <= scores["miou_1"] <= 1
    assert scores["score"] == pytest.approx((scores["miou_1"] + scores["miou_3"]) / 2)
    assert task.model.training
    assert InteractiveTask(recipe).evaluate(task.model) == {}


def test_recipes_name_their_system(photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "task: interactive\nsystem: ritm\nmodel: {head_channels: 16, first_size: 320}\n"
        f"data: {{train: {photos}}}\nschedule: {{steps: 4, batch_size: 2, lr: 0.001}}\n"
    )
    task, schedule, name = build_task(file)
    assert (name, schedule.steps) == ("mine", 4)
    assert task.model.config.first_size == 320  # an argument of the base class
    for override, said in (
        ("system=sam", "interactive.system: Value error, expected one of ritm, focalclick"),
        ("model.depth=3", "model.depth: Extra inputs"),
        ("training.phase=1", "training.phase: Extra inputs"),
        ("clicks.rollouts=-1", "clicks.rollouts: Input should be greater"),
    ):
        with pytest.raises(InputError, match=said):
            build_task(file, [override])


def test_the_table_says_what_there_is() -> None:
    with pytest.raises(InputError, match="system 'sam': expected one of ritm"):
        definition("sam")
    assert definition("ritm").config.model_type == "declutter-ritm"
    assert set(TRAINED) >= {"ritm", "focalclick"}
    with pytest.raises(InputError, match="system 'ritm': no weights of it are bundled"):
        load_compared("ritm")
    assert load_compared("nobody/anything") is None
