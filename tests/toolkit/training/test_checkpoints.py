from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from toolkit.errors import InputError
from toolkit.training import checkpoints


def draw() -> list[float]:
    return [random.random(), float(np.random.normal()), float(np.random.random()), float(torch.rand(1))]


def test_random_states_survive_a_file(tmp_path: Path) -> None:
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    np.random.normal()  # leaves a second Gaussian cached in numpy's state
    path = checkpoints.save_checkpoint(tmp_path, 5, {"random": checkpoints.random_states()})
    expected = draw()
    draw()
    checkpoints.set_random_states(checkpoints.load_checkpoint(path)["random"])
    assert draw() == expected


def test_undisturbed_randomness() -> None:
    torch.manual_seed(3)
    with checkpoints.undisturbed_randomness():
        inside = draw()
    assert draw() == inside


def test_unfinished_checkpoints_do_not_count(tmp_path: Path) -> None:
    checkpoints.save_checkpoint(tmp_path, 7, {"a": 1})
    (tmp_path / ".writing-00000009-1").mkdir()
    (tmp_path / ".writing-00000009-1" / "state.pt").write_bytes(b"half")
    (tmp_path / "step-00000008").mkdir()
    assert [step for step, _ in checkpoints.list_checkpoints(tmp_path)] == [7]
    checkpoints.save_checkpoint(tmp_path, 8, {"a": 2})
    checkpoints.prune_checkpoints(tmp_path, 2, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000007", "step-00000008"]


def test_prune_keeps_the_last_and_the_best(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4, 5):
        checkpoints.save_checkpoint(tmp_path, step, {})
    checkpoints.prune_checkpoints(tmp_path, 2, keep_step=2)
    assert [step for step, _ in checkpoints.list_checkpoints(tmp_path)] == [2, 4, 5]


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    path = checkpoints.save_checkpoint(tmp_path, 5, {"a": torch.zeros(100)})
    file = path / "state.pt"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(InputError, match="step-00000005"):
        checkpoints.load_checkpoint(path)


def test_initial_weights_by_name_and_shape(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    source = {"0.weight": torch.full((3, 2), 5.0), "1.weight": torch.ones(7, 7), "other": torch.ones(1)}
    save_file(source, tmp_path / "model.safetensors")
    before = model[1].weight.detach().clone()
    unmatched = checkpoints.load_initial_weights(model, tmp_path)
    assert unmatched == {"missing": ["0.bias", "1.weight", "1.bias"], "ignored": ["1.weight", "other"]}
    assert model[0].weight.eq(5).all()
    assert torch.equal(model[1].weight, before)


@pytest.mark.parametrize("name", ["absent", "empty", "text.pt", "text.safetensors"])
def test_unusable_initial_weights_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.pt").write_text("no weights")
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(InputError, match=name):
        checkpoints.load_initial_weights(torch.nn.Linear(1, 1), tmp_path / name)


def test_weights_of_another_model_are_refused() -> None:
    with pytest.raises(InputError, match="no weight in it"):
        checkpoints.load_initial_weights(torch.nn.Linear(1, 1), {"weight": torch.ones(2, 2)})
