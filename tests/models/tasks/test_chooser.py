"""Training the chooser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from models.chooser import ChooserConfig, ChooserModel
from models.chooser.features import FEATURES
from models.chooser.lattice import CELLS
from models.chooser.lessons import Lesson, write_lessons
from models.commands import app
from models.tasks.chooser import ChooserTask


def lessons(count: int, seed: int) -> list[Lesson]:
    """The proposal whose depth is largest is right; its score says nothing. Each mask is a row of its own."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        features = rng.normal(size=(int(rng.integers(2, 7)), len(FEATURES))).astype(np.float32)
        number = len(features)
        masks = np.full((number, CELLS, CELLS), -127, np.int8)
        for row, mask in enumerate(masks):
            mask[row] = 127
        truth = np.zeros((CELLS, CELLS), np.uint8)
        truth[features[:, FEATURES.index("depth")].argmax()] = 255
        made.append(
            Lesson(
                features,
                np.eye(number, dtype=np.float16),
                masks.reshape(number, -1),
                np.zeros(number, np.float32),
                truth.ravel(),
                float(CELLS),
            )
        )
    return made


def test_batches_are_padded() -> None:
    task = ChooserTask(lessons(20, 0), ChooserConfig(hidden=4))
    two, five = (next(x for x in task.lessons if len(x.beyond) == count) for count in (2, 5))
    batch = task.collate([two, five])
    assert batch.present.tolist() == [[True, True, False, False, False], [True] * 5]
    assert batch.masks.shape == (2, 5, CELLS * CELLS)
    np.testing.assert_allclose(batch.masks[0, :2], two.logits)
    np.testing.assert_allclose(batch.features[1], five.features)
    np.testing.assert_allclose(batch.overlaps[1], np.eye(5))
    assert not batch.overlaps[0, 2:].any()
    np.testing.assert_allclose(batch.truth[0], two.coverage)
    assert batch.area.tolist() == [CELLS, CELLS]


def test_the_loss_by_hand() -> None:
    """Of two proposals that weigh the same, and exclude each other, nothing is left that is sure."""
    task = ChooserTask(lessons(20, 0), ChooserConfig(hidden=4))
    with torch.no_grad():
        for parameter in task.model.parameters():
            parameter.zero_()
    pair = next(x for x in task.lessons if len(x.beyond) == 2)
    loss = task.losses(task.model.eval(), task.collate([pair]))["total"].item()
    # logits of 0 in two rows, one of which is right, and of - 4 elsewhere: soft masks of 1/2 and almost 0
    assert loss == pytest.approx(1 - 0.5 / (1 + 1 - 0.5), abs=0.03)


def test_validation_is_the_mean_iou_of_thresholded_masks() -> None:
    held = lessons(300, 1)
    task = ChooserTask(lessons(20, 0), ChooserConfig(hidden=1, rounds=0), val=held)
    assert isinstance(task.model, ChooserModel)
    with torch.no_grad():
        for parameter in task.model.parameters():
            parameter.zero_()
        task.model.encoder.mean.zero_()
        task.model.encoder.deviation.fill_(1)
        task.model.encoder.own[0].weight[0, FEATURES.index("depth")] = 1
        task.model.encoder.own[0].bias[0] = 10  # GELU leaves the order of positive numbers
        task.model.out.weight[0, 0] = 1e4
    task.model.eval()
    assert task.evaluate(task.model)["score"] == pytest.approx(1, abs=1e-3)  # the deepest is always right
    with torch.no_grad():
        task.model.out.weight[0, 0] = -1e4
    assert task.evaluate(task.model)["score"] == pytest.approx(0, abs=1e-3)
    assert ChooserTask(held, ChooserConfig()).evaluate(task.model) == {}


def test_features_are_normalised_by_what_is_learned_from() -> None:
    learned = lessons(50, 0)
    model = ChooserTask(learned, ChooserConfig(hidden=4)).model
    everything = np.concatenate([lesson.features for lesson in learned])
    np.testing.assert_allclose(model.encoder.mean, everything.mean(0), atol=1e-5)
    np.testing.assert_allclose(model.encoder.deviation, everything.std(0, ddof=1), rtol=1e-4)


def test_samples_depend_on_seed_and_index() -> None:
    learned = lessons(50, 0)
    one, other = ChooserTask(learned, ChooserConfig(), 1), ChooserTask(learned, ChooserConfig(), 2)
    for index in range(5):
        assert np.array_equal(one.sample(index).features, one.sample(index).features)
    assert any(
        not np.array_equal(one.sample(index).features, other.sample(index).features) for index in range(5)
    )


def test_samples_lack_some_proposals() -> None:
    learned = lessons(1, 3)
    (whole,) = learned
    task = ChooserTask(learned, ChooserConfig())
    counts = [len(task.sample(index).beyond) for index in range(100)]
    assert min(counts) >= 1
    assert max(counts) == len(whole.beyond)
    assert np.mean(counts) == pytest.approx(0.7 * len(whole.beyond), abs=0.5)  # 0 to 60 % are left out


@pytest.mark.slow
def test_it_learns_what_is_right(tmp_path: Path) -> None:
    for name, seed in (("train", 0), ("val", 1)):
        (tmp_path / name).mkdir()
        write_lessons(tmp_path / name / "1.npz", lessons(400, seed))
    result = CliRunner().invoke(
        app,
        ["train-chooser", str(tmp_path / "train"), "--val", str(tmp_path / "val"),
         "--out", str(tmp_path / "run"), "--steps", "150", "--hidden", "32", "--lr", "0.01"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "400 clicks, 150 steps" in result.output
    model = ChooserModel.from_pretrained(tmp_path / "run" / "final").eval()
    task = ChooserTask(lessons(20, 0), ChooserConfig(), val=lessons(200, 2))
    assert task.evaluate(model)["score"] > 0.7  # 0.25 if one were drawn
