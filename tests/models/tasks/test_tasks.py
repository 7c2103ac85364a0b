"""What the tasks of 1C-DSN and CPN hand to the training loop, and the first validation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import models.tasks.cpn
import models.tasks.frozen
from models.cpn import ProposalModel
from models.cpn.heatmap import heatmap_target
from models.data.group_samples import GroupObject, GroupSample
from models.losses import center_focal_loss
from models.one_click import OneClickModel
from models.one_click.criterion import CriterionConfig, OneClickCriterion
from models.pvm import VerificationModel
from models.recipes.schema import OneClickRecipe, ProposalRecipe, VerificationRecipe
from models.tasks import validation
from models.tasks.cpn import ProposalTask
from models.tasks.networks import as_network
from models.tasks.one_click import OneClickTask, decay_groups
from models.tasks.pvm import VerificationTask
from models.tasks.validation import one_click_score
from tests.helpers.networks import random_one_click
from tests.helpers.systems import KnowingSystem, box_mask, object_of, write_objects
from toolkit.errors import InputError

Recipes = tuple[OneClickRecipe, ProposalRecipe, VerificationRecipe]


@pytest.fixture(scope="module")
def cpn(recipes: Recipes) -> ProposalTask:
    return ProposalTask(recipes[1])


def test_the_losses_of_one_click_are_the_criterions(recipes: Recipes) -> None:
    task = OneClickTask(recipes[0].model_copy(update={"criterion": recipes[0].criterion}))
    batch = task.collate([task.sample(index) for index in range(2)])
    task.model.eval()
    with torch.no_grad():
        torch.manual_seed(0)
        losses = task.losses(task.model, batch)
        torch.manual_seed(0)
        output = task.model(batch.image, batch.click_maps)
        expected = OneClickCriterion(CriterionConfig())(
            as_network(task.model, OneClickModel), output, batch.targets
        )
    assert losses.keys() == expected.keys() >= {"total", "class", "box", "centerness", "mask"}
    assert all(losses[name] == expected[name] for name in losses)
    assert sum(len(t.boxes) for t in batch.targets) == 6  # half of six objects, twice


def test_the_click_free_baseline_learns_all_objects_and_sees_no_click(recipes: Recipes) -> None:
    recipe = recipes[0]
    task = OneClickTask(recipe.model_copy(update={"model": {**recipe.model, "click_embedding": False}}))
    batch = task.collate([task.sample(index) for index in range(2)])
    assert sum(len(t.boxes) for t in batch.targets) == 12
    assert not any(maps.any() for maps in batch.click_maps)


def test_networks_start_from_the_seed(recipes: Recipes) -> None:
    for kind, recipe in zip((OneClickTask, ProposalTask, VerificationTask), recipes, strict=True):
        reseeded = recipe.model_copy(update={"schedule": recipe.schedule.model_copy(update={"seed": 1})})
        one, same, other = (
            torch.cat([p.flatten() for p in kind(r).model.parameters()]) for r in (recipe, recipe, reseeded)
        )
        assert torch.equal(one, same)
        assert not torch.equal(one, other)


def test_weights_decay_but_biases_and_norms_do_not(recipes: Recipes) -> None:
    task = OneClickTask(recipes[0])
    decayed, kept = task.parameter_groups()
    assert "weight_decay" not in decayed
    assert kept["weight_decay"] == 0
    assert all(p.ndim >= 2 for p in decayed["params"])
    assert all(p.ndim < 2 for p in kept["params"])
    ours = {id(p) for group in (decayed, kept) for p in group["params"]}
    assert ours == {id(p) for p in task.model.parameters()}
    layer = nn.Linear(2, 2)
    layer.weight.requires_grad = False
    assert [len(group["params"]) for group in decay_groups(layer)] == [0, 1]


def test_a_network_of_another_kind_is_refused() -> None:
    network = random_one_click()
    assert as_network(network, OneClickModel) is network
    with pytest.raises(TypeError, match="expected a OneClickModel, got Linear"):
        as_network(nn.Linear(1, 1), OneClickModel)


def test_final_weights_are_pretrained_folders(recipes: Recipes, tmp_path: Path) -> None:
    for kind, recipe, network in zip(
        (OneClickTask, ProposalTask), recipes, (OneClickModel, ProposalModel), strict=False
    ):
        task = kind(recipe)
        task.save(task.model, tmp_path / recipe.task)
        again = network.from_pretrained(tmp_path / recipe.task).state_dict()
        assert all(torch.equal(value, again[name]) for name, value in task.model.state_dict().items())


def group_sample(*groups: int, target: int | None, click: tuple[float, float] = (10.0, 10.0)) -> GroupSample:
    """Objects in a row, each 8 × 8 pixels; the target's click can be chosen."""
    objects = []
    for index, group in enumerate(groups):
        coverage = np.zeros((24, 24), np.uint8)
        coverage[2:4, 3 * index : 3 * index + 2] = 255
        center = (12.0 * index + 4, 12.0)
        own = click if index == target else center
        objects.append(GroupObject(group, own, center, 8.0, coverage))
    return GroupSample(np.full((3, 96, 96), 90, np.uint8), objects, [], target)


@pytest.fixture
def true_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the frozen network find nothing, so that the true masks stand in."""
    monkeypatch.setattr(
        models.tasks.frozen, "predicted", lambda network, encoded, points: [None] * len(points)
    )


class KnownHeatmaps:
    """In CPN's place: answers with heatmaps that are known, and keeps what it was asked."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        self.asked: list[tuple[list[Tensor], list[Tensor], list[Tensor], list[int]]] = []

    def __call__(
        self,
        pyramid: list[Tensor],
        masks: list[Tensor],
        boxes: list[Tensor],
        owners: list[int],
        _: list[Tensor],
    ) -> Tensor:
        self.asked.append((pyramid, masks, boxes, owners))
        return self.logits


@pytest.mark.usefixtures("true_masks")
def test_the_heatmap_of_the_targets_group_is_learned(cpn: ProposalTask) -> None:
    samples = [group_sample(4, 9, 4, 9, target=2, click=(28.0, 12.0)), group_sample(7, target=None)]
    network = KnownHeatmaps(torch.linspace(-3, 3, 24 * 24).view(1, 24, 24))
    loss = cpn.losses(network, cpn.collate(samples))["total"]  # type: ignore[arg-type]
    ((pyramid, masks, boxes, owners),) = network.asked
    assert owners == [0]
    assert [p.shape[0] for p in pyramid] == [1] * 4  # the second picture has no target
    # (7 · 28 + 13 · 12) % 3 = 1: one sibling joins the target
    assert boxes[0].tolist() == [[24, 8, 32, 16], [0, 8, 8, 16]]
    assert masks[0][0].nonzero().tolist() == [[2, 6], [2, 7], [3, 6], [3, 7]]
    target = heatmap_target([(4.0, 12.0, 8.0), (28.0, 12.0, 8.0)], 24, 24)
    expected = center_focal_loss(torch.linspace(-3, 3, 24 * 24).view(1, 24, 24), target[None])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.usefixtures("true_masks")
@pytest.mark.parametrize(("x", "exemplars"), [(0.0, 1), (1.0, 2), (2.0, 3), (3.0, 1)])
def test_one_to_three_exemplars(cpn: ProposalTask, x: float, exemplars: int) -> None:
    sample = group_sample(5, 5, 8, 5, 5, target=0, click=(x, 0.0))  # 7 x % 3 = x % 3 siblings
    (encoded,) = models.tasks.cpn.encode(cpn.frozen, cpn.collate([sample]).image, False)
    ((target, found),) = cpn._exemplars(sample, encoded)
    assert target is sample.objects[0]
    assert [box[0].item() for _, box in found] == [0, 12, 36][:exemplars]  # never the one of another group


@pytest.mark.usefixtures("true_masks")
def test_further_targets_share_the_pictures_features(cpn: ProposalTask) -> None:
    whole = replace(group_sample(4, 9, 4, 9, target=2, click=(28.0, 12.0)), further=(1,))
    samples = [group_sample(7, target=None), whole, group_sample(3, 3, target=0)]
    logits = torch.linspace(-3, 3, 3 * 24 * 24).view(3, 24, 24)
    network = KnownHeatmaps(logits)
    loss = cpn.losses(network, cpn.collate(samples))["total"]  # type: ignore[arg-type]
    ((pyramid, masks, boxes, owners),) = network.asked
    # clicks at (28, 12), (16, 12) and (10, 10) with 1, 268 % 3 = 1 and 200 % 3 = 2 siblings at most
    assert [len(own) for own in masks] == [2, 2, 2]
    assert [box[0, 0].item() for box in boxes] == [24, 12, 0]
    assert [p.shape[0] for p in pyramid] == [2] * 4
    assert owners == [0, 0, 1]
    groups = [(4.0, 28.0), (16.0, 40.0), (4.0, 16.0)]
    targets = [heatmap_target([(x, 12.0, 8.0) for x in own], 24, 24) for own in groups]
    assert loss.item() == pytest.approx(center_focal_loss(logits, torch.stack(targets)).item(), rel=1e-6)


def test_as_many_further_targets_as_asked(recipes: Recipes) -> None:
    alone = ProposalTask(recipes[1])
    task = ProposalTask(recipes[1].model_copy(update={"targets": 3}))
    counts = set()
    for index in range(30):
        sample, single = task.sample(index), alone.sample(index)
        assert single.further == ()
        assert (sample.target, sample.predicted) == (single.target, single.predicted)
        counts.add(len(sample.further))
    assert max(counts) in {1, 2}


def test_true_exemplars_ask_the_network_for_nothing(
    cpn: ProposalTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predicted(network: object, encoded: object, points: list[tuple[float, float]]) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(models.tasks.frozen, "predicted", predicted)
    sample = replace(group_sample(5, 5, target=0, click=(0.0, 0.0)), predicted=False)
    (encoded,) = models.tasks.cpn.encode(cpn.frozen, cpn.collate([sample]).image, False)
    ((_, found),) = cpn._exemplars(sample, encoded)
    assert [box.tolist() for _, box in found] == [[0, 8, 8, 16]]


def test_a_part_of_the_pictures_shows_true_masks(recipes: Recipes) -> None:
    recipe = recipes[1]
    for part, expected in ((0.0, {True}), (1.0, {False}), (0.5, {True, False})):
        task = ProposalTask(recipe.model_copy(update={"true_masks": part}))
        assert {task.sample(index).predicted for index in range(12)} == expected


def test_a_batch_without_targets_still_has_gradients(cpn: ProposalTask) -> None:
    loss = cpn.losses(cpn.model, cpn.collate([group_sample(target=None)]))["total"]
    assert loss.item() == 0
    loss.backward()
    assert all(p.grad is not None for p in cpn.model.parameters())
    cpn.model.zero_grad()


def test_validation_is_the_mean_iou_of_centre_clicks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    masks = [box_mask(10, 10, 20, 20), box_mask(60, 60, 30, 30), box_mask(120, 20, 40, 12)]
    crowd = object_of(box_mask(0, 150, 200, 50), iscrowd=1)
    split = write_objects(tmp_path, [[object_of(masks[0]), crowd], [], [object_of(m) for m in masks[1:]]])
    other_halves = {masks[1].tobytes(): box_mask(60, 60, 30, 15)}
    system = KnowingSystem(
        split,
        lambda annotation, mask: None if mask.sum() == 400 else (other_halves.get(mask.tobytes(), mask), 0.9),
    )
    monkeypatch.setattr(validation, "Selector", lambda models: system)
    network = random_one_click().train()
    scores = one_click_score(network, tmp_path, 10)
    assert scores == {"score": pytest.approx((0 + 0.5 + 1) / 3), "objects": 3}
    assert system.encoded == 2  # the photo without an object is not looked at
    assert network.training
    assert one_click_score(network, tmp_path, 1)["objects"] == 1


def test_validation_refuses_what_it_cannot_measure(tmp_path: Path) -> None:
    write_objects(tmp_path, [[]])
    with pytest.raises(InputError, match=r"data\.val: no image with an object"):
        one_click_score(random_one_click(), tmp_path, 3)
    with pytest.raises(TypeError, match="expected a OneClickModel"):
        one_click_score(nn.Linear(1, 1), tmp_path, 3)


def test_validation_runs_a_real_network(photos: Path, recipes: Recipes) -> None:
    data = recipes[0].data.model_copy(update={"val": photos, "val_images": 1})
    task = OneClickTask(recipes[0].model_copy(update={"data": data}))
    scores = task.evaluate(task.model)
    assert scores["objects"] == 6
    assert 0 <= scores["score"] <= 1
    assert OneClickTask(recipes[0]).evaluate(task.model) == {}


def test_training_reaches_what_reads_the_backbones_own_maps(recipes: Recipes) -> None:
    cpn = ProposalTask(recipes[1].model_copy(update={"stages": True}))
    pvm = VerificationTask(recipes[2].model_copy(update={"stages": True}))
    for task in (cpn, pvm):
        batch = task.collate([task.sample(index) for index in range(2)])
        task.losses(task.model, batch)["total"].backward()
        assert isinstance(task.model, ProposalModel | VerificationModel)
        assert task.model.stages is not None
        for conv in task.model.stages.convs:
            assert conv.weight.grad is not None
            assert float(conv.weight.grad.abs().max()) > 0
