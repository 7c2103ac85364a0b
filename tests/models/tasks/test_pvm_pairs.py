"""Which pairs PVM learns from, and what they cost."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import models.tasks.frozen
import models.tasks.pvm
from models.data.composer import FIRST_PASTED_GROUP as PASTED
from models.data.group_samples import GroupObject, GroupSample
from models.one_click.finder import EncodedImage
from models.one_click.found_object import FoundObject
from models.pvm import VerificationModel
from models.recipes.schema import OneClickRecipe, ProposalRecipe, VerificationRecipe
from models.tasks.frozen import load_frozen, load_frozen_proposals
from models.tasks.networks import as_network
from models.tasks.pvm import Pairs, VerificationTask, known_pairs
from tests.helpers.networks import random_cpn, random_one_click
from toolkit.errors import InputError

Recipes = tuple[OneClickRecipe, ProposalRecipe, VerificationRecipe]


@pytest.fixture(scope="module")
def task(recipes: Recipes) -> VerificationTask:
    return VerificationTask(recipes[2])


def losses(task: VerificationTask, places: list[float], *pairs: tuple[int, int, bool]) -> dict[str, Tensor]:
    """Of embeddings on a line; a fresh network's logit is 2 - 4 · distance."""
    embedded = torch.zeros(len(places), 8)
    embedded[:, 0] = torch.tensor(places)
    first, second, same = (torch.tensor([pair[part] for pair in pairs]) for part in range(3))
    with torch.no_grad():
        return task._pair_losses(
            as_network(task.model, VerificationModel), embedded, Pairs(first, second, same.bool())
        )


def thing(group: int, kind: int = -1, photo: int = 0, complete: bool = False, column: int = 0) -> GroupObject:
    """An object of 8 × 8 pixels in a picture of 96."""
    coverage = np.zeros((24, 24), np.uint8)
    coverage[2:4, column : column + 2] = 255
    point = (4.0 * column + 4, 12.0)
    return GroupObject(group, point, point, 8.0, coverage, kind, photo, complete)


def entropy(distance: float, same: bool) -> float:
    logit = 2 - 4 * distance
    return math.log(1 + math.exp(-logit if same else logit))


def test_pair_losses_by_hand(task: VerificationTask) -> None:
    pairs = [(0, 1, True), (0, 2, False), (1, 2, False), (2, 3, False)]
    values = losses(task, [0.0, 0.3, 1.0, 0.9], *pairs)
    # alike: 0–1 at 0.3. Unlike: 0–2 at 1.0, 1–2 at 0.7, 2–3 at 0.1
    alike = 0.5 * 0.3**2
    unlike = 0.5 * (0 + 0.3**2 + 0.9**2) / 3
    assert values["contrastive"].item() == pytest.approx((alike + unlike) / 2, rel=1e-4)
    crosses = [entropy(1.0, False), entropy(0.7, False), entropy(0.1, False)]
    assert values["entropy"].item() == pytest.approx((entropy(0.3, True) + sum(crosses) / 3) / 2, rel=1e-4)
    assert values["total"].item() == pytest.approx(values["contrastive"].item() + values["entropy"].item())
    # 0.3 is taken for alike, rightly; 0.1 too, wrongly
    assert values["accuracy"].item() == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize("same", [True, False])
def test_one_kind_of_pair_counts_alone(task: VerificationTask, same: bool) -> None:
    values = losses(task, [0.0, 0.4], (0, 1, same))
    assert values["contrastive"].item() == pytest.approx(0.5 * (0.4**2 if same else 0.6**2), rel=1e-4)
    assert values["entropy"].item() == pytest.approx(entropy(0.4, same), rel=1e-4)
    assert values["accuracy"].item() == same  # 0.4 lies below one half


def test_a_batch_without_pairs_still_has_gradients(task: VerificationTask) -> None:
    embedded = torch.zeros(1, 8, requires_grad=True)
    nothing = torch.zeros(0, dtype=torch.int64)
    pairs = Pairs(nothing, nothing, nothing.bool())
    value = task._pair_losses(as_network(task.model, VerificationModel), embedded, pairs)["total"]
    assert value.item() == 0
    value.backward()
    assert embedded.grad is not None


def test_groups_of_a_photo_say_who_is_alike() -> None:
    a, b, c = thing(1, kind=7), thing(1, kind=7), thing(2, kind=7)  # one label, but the photo says two groups
    assert known_pairs([a, b, c], None) == [(0, 1, True), (0, 2, False), (1, 2, False)]


@pytest.mark.parametrize(
    ("other", "known"),
    [
        (thing(2, kind=8, photo=1), True),
        (thing(2, kind=7, photo=1), False),  # the same kind in two photos: may well look alike
        (thing(2, kind=-1, photo=1), True),
        (thing(PASTED, kind=7, photo=0), False),  # a pasted copy of its own sibling, perhaps
        (thing(PASTED, kind=8, photo=0), True),
    ],
)
def test_things_of_one_kind_may_be_alike(other: GroupObject, known: bool) -> None:
    assert known_pairs([thing(1, kind=7), other], None) == ([(0, 1, False)] if known else [])


def test_finds_beside_objects_are_unlike_a_complete_group_only() -> None:
    target, sibling, stranger = thing(PASTED, complete=True), thing(PASTED, complete=True), thing(3)
    truths = [target, sibling, stranger, None, None]
    pairs = known_pairs(truths, target)
    assert [pair for pair in pairs if pair[1] >= 3] == [
        (0, 3, False),
        (0, 4, False),
        (1, 3, False),
        (1, 4, False),
    ]
    # an unlabelled sibling may lie anywhere: finds say nothing, and nothing of each other either
    assert known_pairs([stranger, None, None], stranger) == []
    assert known_pairs([target, None], None) == []


def found(left: int, top: int, point: tuple[float, float]) -> FoundObject:
    """A find of 2 × 2 cells."""
    return FoundObject(np.full((2, 2), 30, np.float32), top, left, 0.5, (point,))


def finds_of(
    task: VerificationTask, sample: GroupSample, monkeypatch: pytest.MonkeyPatch, places: dict[float, int]
) -> list[tuple[int | None, list[float]]]:
    """Group and box of a sample's finds, where a point of column x is answered by cells from places[x]."""

    def find(network: object, encoded: object, points: list[tuple[float, float]]) -> list[FoundObject | None]:
        return [found(places[x], 2, (x, y)) if x in places else None for x, y in points]

    monkeypatch.setattr(models.tasks.frozen, "predicted", find)
    monkeypatch.setattr(models.tasks.pvm, "predicted", find)
    encoded = EncodedImage([torch.zeros(16, 24, 24)], torch.zeros(8, 24, 24), [], 96, 96)
    finds, truths = task._finds(sample, encoded)
    return [(None if t is None else t.group, box.tolist()) for t, (_, box) in zip(truths, finds, strict=True)]


def sample_with(objects: list[GroupObject], elsewhere: list[tuple[float, float]]) -> GroupSample:
    """The first object is the target."""
    group = objects[0].group
    siblings = np.max([o.coverage for o in objects if o.group == group], axis=0)
    return GroupSample(np.zeros((3, 96, 96), np.uint8), objects, elsewhere, 0, siblings)


def test_finds_are_the_networks_own(task: VerificationTask, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [thing(PASTED, complete=True), thing(PASTED, complete=True, column=8), thing(5, column=16)]
    sample = sample_with(objects, [(50.0, 12.0), (90.0, 12.0), (30.0, 12.0)])
    # the first object is found, the second one's click finds the third, the third is not found; of the points
    # beside them one finds something, one a sibling after all, one nothing
    places = {4.0: 0, 36.0: 16, 50.0: 12, 30.0: 8}
    assert finds_of(task, sample, monkeypatch, places) == [
        (PASTED, [0, 8, 8, 16]),
        (PASTED, [32, 8, 40, 16]),  # its true mask
        (5, [64, 8, 72, 16]),
        (None, [48, 8, 56, 16]),
    ]
    # with true masks nothing is asked of the network, neither here nor beside
    assert finds_of(task, replace(sample, predicted=False), monkeypatch, places) == [
        (PASTED, [0, 8, 8, 16]),
        (PASTED, [32, 8, 40, 16]),
        (5, [64, 8, 72, 16]),
    ]
    incomplete = sample_with([replace(o, complete=False) for o in objects], sample.elsewhere)
    assert [group for group, _ in finds_of(task, incomplete, monkeypatch, places)] == [PASTED, PASTED, 5]


def test_false_proposals_of_cpn_join(
    recipes: Recipes, frozen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random_cpn().save_pretrained(tmp_path)
    recipe = recipes[2].model_copy(update={"cpn": tmp_path, "false_proposals": 2})
    task = VerificationTask(recipe)
    objects = [thing(PASTED, complete=True), thing(PASTED, complete=True, column=8)]
    asked: list[Tensor] = []

    def heatmap(memory: object, masks: Tensor, boxes: Tensor) -> Tensor:
        asked.append(boxes)
        logits = torch.full((24, 24), -9.0)
        # on a sibling, then three beside: two make the list; one below the confidence of 0.2
        for column, value in ((8, 5.0), (18, 1.0), (14, 3.0), (22, 0.0), (4, -2.0)):
            logits[2, column] = value
        return logits

    monkeypatch.setattr(task.proposals, "remember", lambda pyramid, stages: [None])
    monkeypatch.setattr(task.proposals, "heatmap", heatmap)
    places = {4.0: 0, 36.0: 8, 58.0: 14, 74.0: 18, 90.0: 22, 18.0: 4}
    finds = finds_of(task, sample_with(objects, []), monkeypatch, places)
    assert asked[0].tolist() == [[0, 8, 8, 16]]  # the target is the exemplar
    assert finds[2:] == [(None, [56, 8, 64, 16]), (None, [72, 8, 80, 16])]


def test_a_cpn_must_fit(frozen: Path, tmp_path: Path) -> None:
    one_click = load_frozen(frozen)
    with pytest.raises(InputError, match=r"cpn: no CPN in .*; train one on this 1C-DSN, then --set cpn="):
        load_frozen_proposals(None, frozen, one_click)
    random_cpn().save_pretrained(tmp_path / "cpn")
    with pytest.raises(InputError, match="is no CPN for features of 32 channels"):
        load_frozen_proposals(tmp_path / "cpn", frozen, random_one_click(pyramid_channels=32))
    random_cpn(stage_channels=[16, 17]).save_pretrained(tmp_path / "other")
    with pytest.raises(InputError, match="for features of 16 channels and backbone maps of 16 and 16"):
        load_frozen_proposals(tmp_path / "other", frozen, one_click)
    beside = load_frozen_proposals(None, tmp_path / "one-click", one_click)
    assert not beside.training
    assert not any(p.requires_grad for p in beside.parameters())


def test_an_empty_batch(task: VerificationTask) -> None:
    sample = task.sample(0)
    empty = type(sample)(sample.image, [], [], None)
    loss = task.losses(task.model, task.collate([empty]))["total"]
    assert loss.item() == 0
    loss.backward()


def test_a_real_batch_with_a_real_cpn(recipes: Recipes, tmp_path: Path) -> None:
    cpn = random_cpn()
    nn.init.constant_(cpn.bias, 0.0)  # confidences around a half: many proposals
    cpn.save_pretrained(tmp_path)
    data = recipes[2].data.composer.model_copy(update={"exhaustive": ("numpy",)})
    data = recipes[2].data.model_copy(update={"composer": data})
    task = VerificationTask(
        recipes[2].model_copy(update={"cpn": tmp_path, "false_proposals": 3, "data": data})
    )
    losses = task.losses(task.model, task.collate([task.sample(index) for index in range(2)]))
    losses["total"].backward()
    assert 0 < losses["total"].item() < 10
    assert all(p.grad is None for p in task.proposals.parameters())
