"""Which pairs PVM learns from, and what they cost."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import models.tasks.pvm
from models.data.composer import FIRST_PASTED_GROUP as PASTED
from models.one_click.finder import FoundObject
from models.recipes.schema import OneClickRecipe, ProposalRecipe, VerificationRecipe
from models.tasks.pvm import VerificationTask, unwrapped

Recipes = tuple[OneClickRecipe, ProposalRecipe, VerificationRecipe]


@pytest.fixture(scope="module")
def task(recipes: Recipes) -> VerificationTask:
    return VerificationTask(recipes[2])


def losses(
    task: VerificationTask, places: list[float], owners: list[int], labels: list[int]
) -> dict[str, Tensor]:
    """Of embeddings on a line; a fresh network's logit is 2 - 4 · distance."""
    embedded = torch.zeros(len(places), 8)
    embedded[:, 0] = torch.tensor(places)
    with torch.no_grad():
        return task._pair_losses(unwrapped(task.model), embedded, torch.tensor(owners), torch.tensor(labels))


def entropy(distance: float, same: bool) -> float:
    logit = 2 - 4 * distance
    return math.log(1 + math.exp(-logit if same else logit))


def test_pairs_of_one_picture_by_hand(task: VerificationTask) -> None:
    # two siblings of the photo, a pasted one, a find elsewhere; and another picture with the same group
    values = losses(task, [0.0, 0.3, 1.0, 0.9, 0.0], [0, 0, 0, 0, 1], [3, 3, PASTED, -9, 3])
    # alike: 0–1 at 0.3. Unlike: 0–2 at 1.0, 1–2 at 0.7, 2–3 at 0.1. Unknown: 0–3, 1–3
    alike = 0.5 * 0.3**2
    unlike = 0.5 * (0 + 0.3**2 + 0.9**2) / 3
    assert values["contrastive"].item() == pytest.approx((alike + unlike) / 2, rel=1e-4)
    crosses = [entropy(1.0, False), entropy(0.7, False), entropy(0.1, False)]
    assert values["entropy"].item() == pytest.approx((entropy(0.3, True) + sum(crosses) / 3) / 2, rel=1e-4)
    assert values["total"].item() == pytest.approx(values["contrastive"].item() + values["entropy"].item())
    # 0.3 is taken for alike, rightly; 0.1 too, wrongly
    assert values["accuracy"].item() == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize(
    "labels",
    [
        [-9, -9],  # two finds elsewhere say nothing of each other
        [-9, -4],
        [3, -9],  # a find elsewhere may be an unlabelled sibling of a photo's object
        [-9, 0],
    ],
)
def test_pairs_that_say_nothing(task: VerificationTask, labels: list[int]) -> None:
    assert losses(task, [0.0, 0.4], [0, 0], labels) == {"total": 0}


def test_objects_of_different_pictures_are_no_pair(task: VerificationTask) -> None:
    assert losses(task, [0.0, 0.4], [0, 1], [3, 3]) == {"total": 0}
    assert losses(task, [0.0], [0], [3]) == {"total": 0}


@pytest.mark.parametrize(
    ("labels", "same"),
    [([PASTED, PASTED], True), ([PASTED, PASTED + 1], False), ([PASTED, -5], False), ([0, 1], False)],
)
def test_one_kind_of_pair_counts_alone(task: VerificationTask, labels: list[int], same: bool) -> None:
    values = losses(task, [0.0, 0.4], [0, 0], labels)
    assert values["contrastive"].item() == pytest.approx(0.5 * (0.4**2 if same else 0.6**2), rel=1e-4)
    assert values["entropy"].item() == pytest.approx(entropy(0.4, same), rel=1e-4)
    assert values["accuracy"].item() == same  # 0.4 lies below one half


def test_a_batch_without_pairs_still_has_gradients(task: VerificationTask) -> None:
    embedded = torch.zeros(1, 8, requires_grad=True)
    value = task._pair_losses(unwrapped(task.model), embedded, torch.tensor([0]), torch.tensor([3]))["total"]
    value.backward()
    assert embedded.grad is not None


def test_masks_are_the_networks_own_and_finds_elsewhere_join(
    task: VerificationTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = task.sample(0)
    assert len(sample.objects) == 6
    assert len(sample.elsewhere) == 3
    asked: list[Tensor] = []
    pairs: list[tuple[Tensor, Tensor]] = []

    def find(network: object, encoded: object, points: list[tuple[float, float]]) -> list[FoundObject | None]:
        logits = torch.ones(2, 2).numpy()
        # the first object and the last point elsewhere are found; the others' true masks stand in
        return [
            FoundObject(logits, 3, 4, 0.5, (p,)) if i in (0, len(points) - 1) else None
            for i, p in enumerate(points)
        ]

    gather = unwrapped(task.model).gather
    monkeypatch.setattr(models.tasks.pvm, "predicted", find)
    monkeypatch.setattr(task.model, "gather", lambda *args: asked.append(args[3]) or gather(*args))
    monkeypatch.setattr(
        task, "_pair_losses", lambda model, embedded, *rest: pairs.append(rest) or {"total": embedded.sum()}
    )
    task.losses(task.model, task.collate([sample, sample]))
    assert [len(boxes) for boxes in asked] == [7, 7]
    assert asked[0][0].tolist() == asked[0][6].tolist() == [16, 12, 24, 20]
    ((owners, labels),) = pairs
    assert owners.tolist() == [0] * 7 + [1] * 7
    assert labels[:6].tolist() == [o.group for o in sample.objects]
    assert labels[6] < 0
    assert labels[6] == labels[13]  # of another picture, so it does not matter


def test_an_empty_batch(task: VerificationTask) -> None:
    sample = task.sample(0)
    empty = type(sample)(sample.image, [], [], None)
    loss = task.losses(task.model, task.collate([empty]))["total"]
    assert loss.item() == 0
    loss.backward()
