"""Networks put into a set of weights, alone or as the mean of two."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from models.bundling import bundle_network, mean_weights
from models.selector import Selector
from tests.helpers.networks import folded, random_cpn, random_one_click
from toolkit.cli import app
from toolkit.errors import InputError


def test_a_set_holds_networks_in_half_precision(tmp_path: Path) -> None:
    network = random_one_click()
    network.save_pretrained(tmp_path / "run")
    card = tmp_path / "set" / "one-click" / "README.md"
    card.parent.mkdir(parents=True)
    card.write_text("A card.")
    folder = bundle_network(tmp_path / "run", "one-click", tmp_path / "set")
    assert folder == card.parent
    assert card.read_text() == "A card."
    assert sorted(p.name for p in (tmp_path / "set").iterdir()) == ["one-click"]  # nothing is left behind
    stored = load_file(folder / "model.safetensors")
    assert {t.dtype for t in stored.values() if t.is_floating_point()} == {torch.float16}
    loaded = Selector.load(tmp_path / "set", device="cpu").models.finder.model.state_dict()
    rounded = folded(network.half().float())
    assert all(torch.equal(loaded[name], value) for name, value in rounded.items())


def test_what_cannot_be_bundled(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name 'segmenter': expected one of one-click, cpn, pvm"):
        bundle_network(tmp_path, "segmenter", tmp_path)
    with pytest.raises(InputError, match="no trained network there"):
        bundle_network(tmp_path, "cpn", tmp_path)
    random_cpn().save_pretrained(tmp_path / "run")
    with pytest.raises(InputError, match="model_type declutter-cpn, expected declutter-pvm"):
        bundle_network(tmp_path / "run", "pvm", tmp_path)


def test_the_mean_of_a_network_and_what_it_went_on_from(tmp_path: Path) -> None:
    first = random_cpn()
    second = copy.deepcopy(first)
    for weight in second.parameters():
        weight.data += 2.0
    first.save_pretrained(tmp_path / "first")
    second.save_pretrained(tmp_path / "second")
    arguments = [tmp_path / "second", "cpn", "--mean-with", tmp_path / "first", "--out", tmp_path / "set"]
    answer = CliRunner().invoke(app, ["models", "bundle", *map(str, arguments)])
    assert answer.exit_code == 0, answer.output
    stored = load_file(tmp_path / "set" / "cpn" / "model.safetensors")
    learned = dict(first.named_parameters())
    assert learned
    for name, weight in learned.items():
        torch.testing.assert_close(stored[name].float(), weight.data + 1.0, atol=2e-3, rtol=2e-3)


def test_means_by_hand() -> None:
    weights = {"conv": torch.tensor([1.0, -2.0]), "batches": torch.tensor(7)}
    others = {"conv": torch.tensor([2.0, 4.0]), "batches": torch.tensor(9)}
    mean = mean_weights(weights, others)
    assert mean["conv"].tolist() == [1.5, 1.0]
    assert int(mean["batches"]) == 7  # a count of steps, which an answer does not depend on


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"conv": torch.zeros(3)}, r"conv has shape \[2\] in one and \[3\] in the other"),
        ({}, r"conv has shape \[2\] in one and none in the other"),
        ({"bias": torch.zeros(1), "conv": torch.zeros(2)}, r"bias has shape none in one and \[1\]"),
    ],
)
def test_no_mean_of_different_networks(others: dict[str, torch.Tensor], said: str) -> None:
    with pytest.raises(InputError, match=said):
        mean_weights({"conv": torch.zeros(2)}, others)
