"""Quick validation of CPN and PVM: what is measured, and that the networks stay as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.cpn import ProposalModel
from models.cpn.model import HEATMAP_STRIDE
from models.loading import load_network
from models.pvm.model import ObjectInputs
from models.recipes.schema import OneClickRecipe, ProposalRecipe, VerificationRecipe
from models.tasks import encoded_photos
from models.tasks.cpn import ProposalTask
from models.tasks.frozen import load_frozen
from models.tasks.pair_validation import PairValidation
from models.tasks.proposal_validation import ProposalValidation
from models.tasks.pvm import VerificationTask
from tests.helpers.networks import random_cpn, random_pvm
from toolkit.errors import InputError

Recipes = tuple[OneClickRecipe, ProposalRecipe, VerificationRecipe]


@pytest.fixture
def true_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the frozen network find nothing, so that the true masks stand in."""
    monkeypatch.setattr(encoded_photos, "predicted", lambda network, encoded, points: [None] * len(points))


def test_objects_lie_where_they_are_in_the_enlarged_photo(
    photos: Path, frozen: Path, true_masks: None
) -> None:
    (photo,) = encoded_photos.encode_photos(load_frozen(frozen), photos, 1, 6, lambda groups: True)
    assert photo.image.shape == (3, 512, 512)  # 96 × 96, enlarged
    assert [tuple(level.shape) for level in photo.pyramid[:2]] == [(16, 128, 128), (16, 64, 64)]
    assert [item.group for item in photo.objects].count(photo.objects[0].group) == 3
    pixels = photo.image[:, 2::4, 2::4].float()  # [3, 128, 128], one pixel of each cell
    for item in photo.objects:
        inside = pixels[:, torch.from_numpy(item.truth)]
        assert inside.std(1).max() < 12  # shapes of one colour
        x1, y1, x2, y2 = (int(side) // 4 for side in item.box)
        assert item.mask[y1:y2, x1:x2].sum() == pytest.approx(item.mask.sum().item())


@pytest.mark.usefixtures("true_masks")
def test_pairs_by_colour_and_by_nothing(photos: Path, frozen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    validation = PairValidation(load_frozen(frozen), photos, 2)
    model = random_pvm().train()

    def colour(inputs: ObjectInputs) -> Tensor:
        assert not model.training
        return inputs.patches[:, :, 14:18, 14:18].mean((2, 3))  # [N, 3], in the middle of each object

    monkeypatch.setattr(model, "forward", colour)
    # six objects of two groups in each photo: 15 pairs, siblings of one colour
    assert validation.score(model) == {"score": 1.0, "auc_pooled": 1.0, "pairs": 30}
    assert model.training
    monkeypatch.setattr(model, "forward", lambda inputs: torch.zeros(len(inputs.patches), 3))
    assert validation.score(model) == {"score": 0.5, "auc_pooled": 0.5, "pairs": 30}


@pytest.mark.usefixtures("true_masks")
def test_clicks_by_hand(photos: Path, frozen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = load_frozen(frozen)
    validation = ProposalValidation(network, photos, 1)
    (photo,) = encoded_photos.encode_photos(network, photos, 1, 6, lambda groups: True)
    groups: dict[int, list[Tensor]] = {}
    for item in photo.objects:
        groups.setdefault(item.group, []).append(item.box)
    queue = [boxes for boxes in groups.values() if len(boxes) > 1]
    model = random_cpn().train()

    def heatmap(memory: object, masks: Tensor, boxes: Tensor) -> Tensor:
        exemplar, first, second = queue.pop(0)
        assert torch.equal(boxes[0], exemplar)
        probability = torch.full((128, 128), 1e-4)
        for box, value in ((exemplar, 0.95), (first, 0.9), (second, 0.7)):
            x, y = (box[:2] + box[2:]) / 2 / HEATMAP_STRIDE
            probability[int(y), int(x)] = value
        probability[0, 0] = 0.8  # beside everything
        return torch.logit(probability)

    monkeypatch.setattr(model, "heatmap", heatmap)
    # per exemplar: right at 0.9, wrong at 0.8, right at 0.7; the click on the exemplar does not count
    scores = validation.score(model)
    assert scores["exemplars"] == 2
    assert scores["score"] == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3, abs=1e-5)
    assert model.training


def test_tasks_validate_on_their_split(recipes: Recipes, photos: Path, tmp_path: Path) -> None:
    for kind, recipe in ((ProposalTask, recipes[1]), (VerificationTask, recipes[2])):
        task = kind(recipe)
        assert task.evaluate(task.model) == {}
        data = recipe.data.model_copy(update={"val": photos, "val_images": 1})
        task = kind(recipe.model_copy(update={"data": data}))
        scores = task.evaluate(task.model)
        assert 0 <= scores["score"] <= 1
        assert task.evaluate(task.model) == scores  # encoded once, measured again
        missing = recipe.data.model_copy(update={"val": tmp_path / "nowhere"})
        with pytest.raises(InputError, match="nowhere"):
            kind(recipe.model_copy(update={"data": missing}))


def test_cpn_is_saved(recipes: Recipes, tmp_path: Path) -> None:
    task = ProposalTask(recipes[1])
    task.save(task.model, tmp_path)
    assert load_network(ProposalModel, tmp_path, None, torch.device("cpu")) is not None
