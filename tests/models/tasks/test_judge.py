"""Training the judge."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from models.commands import app
from models.judge import JudgeConfig, JudgeModel
from models.judge.features import FEATURES
from models.judge.lessons import JudgeLesson, write_lessons
from models.tasks.judge import NOISE, JudgeTask


def lessons(count: int, seed: int) -> list[JudgeLesson]:
    """A sibling is right, at an IoU of 0.8, where its similarity is above 0; nothing else matters."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        features = rng.normal(size=(int(rng.integers(2, 7)), len(FEATURES))).astype(np.float32)
        right = np.where(features[:, FEATURES.index("similarity")] > 0, 0.8, 0).astype(np.float32)
        made.append(JudgeLesson(features, np.eye(len(right), dtype=np.float32), right))
    return made


def knowing() -> JudgeTask:
    """A task whose network answers with the similarities as logits."""
    task = JudgeTask(lessons(20, 0), JudgeConfig(hidden=1, rounds=0))
    network = task.model
    assert isinstance(network, JudgeModel)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.encoder.mean.zero_()
        network.encoder.deviation.fill_(1)
        network.encoder.own[0].weight[0, FEATURES.index("similarity")] = 1
        network.encoder.own[0].bias[0] = 20  # there GELU changes nothing
        network.out.weight[0, 0] = 1
        network.out.bias[0] = -20
    network.eval()
    return task


def lesson(similarities: list[float], right: list[float]) -> JudgeLesson:
    features = np.zeros((len(right), len(FEATURES)), np.float32)
    features[:, FEATURES.index("similarity")] = similarities
    return JudgeLesson(features, np.eye(len(right), dtype=np.float32), np.array(right, np.float32))


def test_the_loss_by_hand() -> None:
    """One of two candidates weighs 1 / √2, one alone 1, padding nothing."""
    task = knowing()
    batch = task.collate([lesson([2.0, -1.0], [0.5, 0.0]), lesson([0.0], [1.0])])
    entropies = [
        -0.5 * math.log(1 / (1 + math.exp(-2))) - 0.5 * math.log(1 / (1 + math.exp(2))),
        -math.log(1 / (1 + math.exp(-1))),
        math.log(2),
    ]
    expected = (sum(entropies[:2]) / math.sqrt(2) + entropies[2]) / (2 / math.sqrt(2) + 1)
    assert task.losses(task.model, batch)["total"].item() == pytest.approx(expected, abs=1e-4)


def test_average_precision_by_hand() -> None:
    task = knowing()
    # the clicked objects (9.0) do not count; the others in order: right 0.8, wrong, right 0.6, wrong
    task.val = [lesson([9.0, 3.0, 2.0], [1.0, 0.8, 0.0]), lesson([9.0, 1.0, 0.0], [0.0, 0.6, 0.0])]
    expected = (0.8 * (0.8 / 1) + 0.6 * (1.4 / 3)) / 1.4
    assert task.evaluate(task.model)["score"] == pytest.approx(expected)
    task.val = []
    assert task.evaluate(task.model) == {}


def test_samples_depend_on_seed_and_index() -> None:
    learned = lessons(50, 0)
    one, other = JudgeTask(learned, JudgeConfig(), 1), JudgeTask(learned, JudgeConfig(), 2)
    assert np.array_equal(one.sample(5).features, one.sample(5).features)
    assert not np.array_equal(one.sample(5).features, other.sample(5).features)


def test_numbers_of_samples_are_shaken() -> None:
    learned = lessons(1, 3)
    task = JudgeTask(learned, JudgeConfig())
    shaken = np.stack([task.sample(index).features for index in range(400)]) - learned[0].features
    assert abs(shaken.mean()) < 0.02
    spread = shaken.std((0, 1)) / learned[0].features.std(0, ddof=1)
    np.testing.assert_allclose(spread, NOISE, rtol=0.15)
    assert task.sample(0).right is learned[0].right


@pytest.mark.slow
def test_it_learns_what_is_right(tmp_path: Path) -> None:
    for name, seed in (("train", 0), ("val", 1)):
        (tmp_path / name).mkdir()
        write_lessons(tmp_path / name / "1.npz", lessons(200, seed))
    result = CliRunner().invoke(
        app,
        ["train-judge", str(tmp_path / "train"), "--val", str(tmp_path / "val"),
         "--out", str(tmp_path / "run"), "--steps", "150", "--hidden", "32", "--lr", "0.01"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "200 clicks, 150 steps" in result.output
    model = JudgeModel.from_pretrained(tmp_path / "run" / "final").eval()
    task = JudgeTask(lessons(20, 0), JudgeConfig(), val=lessons(100, 2))
    assert task.evaluate(model)["score"] > 0.72  # of 0.8; about 0.4 by chance
