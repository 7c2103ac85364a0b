from __future__ import annotations

import numpy as np
import pytest
import torch

from models.data.canvas import Canvas, CanvasObject
from models.systems.clicking.points import PointSampling
from models.systems.icmformer_pp.exemplar import PSEUDO
from models.systems.icmformer_pp.samples import (
    ExemplarSample,
    collate_exemplars,
    make_exemplar_sample,
    points_array,
)
from tests.helpers.masks import disk
from toolkit.clicks import Click
from toolkit.data.mois_clicks import ClickRules

SIDE = 96
PLACES = [(16, 16), (48, 16), (80, 16), (16, 60), (60, 60)]
GROUPS = [1, 1, 1, 2, -7]


def canvas(groups: list[int] = GROUPS) -> Canvas:
    rng = np.random.default_rng(0)
    found = Canvas(rng.integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8))
    for (x, y), group in zip(PLACES, groups, strict=True):
        mask = disk(SIDE, SIDE, x, y, 12)
        found.objects.append(CanvasObject(mask, group, float(mask.sum())))
    return found


def draw(
    seed: int, recalls: str = "all", probability: float = 1.0, groups: list[int] = GROUPS
) -> ExemplarSample:
    rules = ClickRules(most=8, apart=4, margin=2, reach=8)
    rng = np.random.default_rng(seed)
    return make_exemplar_sample(canvas(groups), rng, PointSampling(most=3), rules, recalls, probability)  # type: ignore[arg-type]


def numbers(mask: np.ndarray) -> list[int]:
    """Which of the discs a mask is made of."""
    discs = [disk(SIDE, SIDE, x, y, 12) for x, y in PLACES]
    inside = [index for index, disc in enumerate(discs) if (mask & disc).any()]
    assert mask.sum() == sum(discs[index].sum() for index in inside)
    return inside


def test_all_others_of_the_exemplar_s_group_are_recalled() -> None:
    seen = set()
    for seed in range(30):
        sample = draw(seed)
        (exemplar,) = numbers(sample.mask)
        assert numbers(sample.picture.mask) == [index for index in (0, 1, 2) if index != exemplar]
        seen.add(exemplar)
        for x, y, kind in sample.picture.points:
            if kind >= 0:
                assert sample.picture.mask[int(y), int(x)] == (kind == 1)
    assert seen == {0, 1, 2}


def test_or_only_one_of_them() -> None:
    for seed in range(10):
        sample = draw(seed, "one")
        (exemplar,), (target,) = numbers(sample.mask), numbers(sample.picture.mask)
        assert {exemplar, target} < {0, 1, 2}
        assert exemplar != target


def test_the_exemplar_s_clicks_tell_pseudo_negatives() -> None:
    siblings = [disk(SIDE, SIDE, x, y, 12) for x, y in PLACES[:3]]
    kinds: list[float] = []
    for seed in range(40):
        sample = draw(seed)
        assert sample.points.shape == (8, 3)
        for x, y, kind in sample.points[sample.points[:, 2] >= 0]:
            kinds.append(float(kind))
            assert sample.mask[int(y), int(x)] == (kind == 1)
            on_sibling = any(sibling[int(y), int(x)] for sibling in siblings) and kind != 1
            assert on_sibling == (kind == PSEUDO)
    assert set(kinds) == {0.0, PSEUDO, 1.0}


@pytest.mark.parametrize(("probability", "groups"), [(0.0, GROUPS), (1.0, [1, 2, 3, 4, 5])])
def test_without_a_group_or_by_chance_one_object_is_selected(probability: float, groups: list[int]) -> None:
    sample = draw(3, probability=probability, groups=groups)
    assert not sample.mask.any()
    assert (sample.points[:, 2] < 0).all()
    assert len(numbers(sample.picture.mask)) == 1


def test_batches_hold_exemplars() -> None:
    samples = [draw(0), draw(1, probability=0.0)]
    batch = collate_exemplars(samples)
    assert batch.target.shape == batch.exemplar.mask.shape == (2, 1, SIDE, SIDE)
    assert batch.exemplar.points.shape == (2, 8, 3)
    x, y = PLACES[numbers(samples[0].mask)[0]]
    assert batch.exemplar.boxes.tolist() == [[x - 12, y - 12, x + 12, y + 12], [0, 0, 0, 0]]
    moved = batch.to(torch.device("meta"))
    assert moved.exemplar.mask.device.type == moved.image.device.type == "meta"


def test_clicks_become_rows() -> None:
    found = points_array([Click(1, 2), Click(3, 4, positive=False)], [Click(5, 6, positive=False)], 4)
    assert found.tolist() == [[1, 2, 1], [3, 4, 0], [5, 6, PSEUDO], [-1, -1, -1]]
