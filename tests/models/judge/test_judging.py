"""What is left of a selection."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.judge import JudgeConfig, JudgeModel
from models.judge.features import FEATURES, Selection
from models.judge.judging import LEAST, judged
from tests.models.judge.test_features import ALIKE, candidate, three


def by_similarity(threshold: float) -> JudgeModel:
    """Half right at some similarity to the clicked object."""
    model = JudgeModel(JudgeConfig(hidden=1, rounds=0)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.encoder.own[0].weight[0, FEATURES.index("similarity")] = 1
        model.encoder.own[0].bias[0] = 10  # there GELU changes nothing
        model.out.weight[0, 0] = 10
        model.out.bias[0] = -10 * (10 + threshold)
    return model


def test_what_is_hardly_right_is_left_out() -> None:
    first, second, third = judged(by_similarity(0.75), three())
    assert first == pytest.approx(torch.sigmoid(torch.tensor(2.5)).item(), abs=1e-4)
    assert second == pytest.approx(torch.sigmoid(torch.tensor(0.5)).item(), abs=1e-4)
    assert third is None
    assert torch.sigmoid(torch.tensor(-3.5)).item() < LEAST


def test_the_clicked_object_always_stays() -> None:
    first, *others = judged(by_similarity(9.0), three())
    assert first is not None
    assert first < LEAST
    assert others == [None, None]


def test_without_a_judge_all_is_kept() -> None:
    # score · quality of the clicked object; of the others similarity · score · quality
    assert judged(None, three()) == pytest.approx([0.8 * 0.7, 0.64 * 0.5, 0.32 * 0.9])


def test_the_clicked_object_alone() -> None:
    (score,) = judged(by_similarity(1.0), Selection([candidate(10, 0)], ALIKE[:1, :1]))
    assert score == pytest.approx(0.5, abs=1e-3)


def test_saved_and_loaded(tmp_path: Path) -> None:
    model = by_similarity(0.5)
    model.encoder.mean.fill_(0.25)
    model.save_pretrained(tmp_path)
    again = JudgeModel.from_pretrained(tmp_path)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
