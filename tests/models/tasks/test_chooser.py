"""Training the chooser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from models.chooser import ChooserConfig, ChooserModel
from models.chooser.collecting import Choice, write_choices
from models.chooser.features import FEATURES
from models.commands import app
from models.tasks.chooser import ChooserTask


def lessons(count: int, seed: int) -> list[Choice]:
    """The proposal whose depth is largest is right; its score says nothing."""
    rng = np.random.default_rng(seed)
    choices = []
    for _ in range(count):
        features = rng.normal(size=(int(rng.integers(2, 7)), len(FEATURES))).astype(np.float32)
        ious = np.full(len(features), 0.1, np.float32)
        ious[features[:, FEATURES.index("depth")].argmax()] = 0.9
        choices.append(Choice(features, ious))
    return choices


def test_the_loss_by_hand() -> None:
    task = ChooserTask(lessons(20, 0), ChooserConfig(hidden=4))
    features = np.zeros((2, len(FEATURES)), np.float32)
    pair = Choice(features, np.array([0.2, 0.6], np.float32))
    single = Choice(features[:1], np.array([0.5], np.float32))
    losses = task.losses(task.model.eval(), task.collate([pair, single]))
    # equal features have equal logits: 0.4 and 0.5 are expected
    assert losses["expected_iou"].item() == pytest.approx(0.45)
    assert losses["total"].item() == pytest.approx(0.55)


def test_features_are_normalised_by_what_is_learned_from() -> None:
    choices = lessons(50, 0)
    model = ChooserTask(choices, ChooserConfig(hidden=4)).model
    everything = np.concatenate([choice.features for choice in choices])
    np.testing.assert_allclose(model.mean, everything.mean(0), atol=1e-5)
    np.testing.assert_allclose(model.deviation, everything.std(0, ddof=1), rtol=1e-4)


def test_samples_depend_on_seed_and_index() -> None:
    choices = lessons(50, 0)
    one, other = ChooserTask(choices, ChooserConfig(), 1), ChooserTask(choices, ChooserConfig(), 2)
    assert one.sample(5) is one.sample(5)
    assert any(one.sample(index) is not other.sample(index) for index in range(5))


@pytest.mark.slow
def test_it_learns_what_is_right(tmp_path: Path) -> None:
    for name, seed in (("train", 0), ("val", 1)):
        (tmp_path / name).mkdir()
        write_choices(tmp_path / name / "1.npz", lessons(400, seed))
    result = CliRunner().invoke(
        app,
        ["train-chooser", str(tmp_path / "train"), "--val", str(tmp_path / "val"),
         "--out", str(tmp_path / "run"), "--steps", "150", "--hidden", "32", "--lr", "0.01"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "400 clicks, 150 steps" in result.output
    model = ChooserModel.from_pretrained(tmp_path / "run" / "final").eval()
    held = lessons(200, 2)
    right = []
    for choice in held:
        with torch.no_grad():
            logits = model(torch.from_numpy(choice.features)[None], torch.ones(1, len(choice.ious)).bool())
        right.append(choice.ious[int(logits.argmax())])
    assert np.mean(right) > 0.8  # 0.3 by chance
