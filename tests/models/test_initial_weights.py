"""What a network that goes on learning starts from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.initial_weights import initial_weights
from tests.helpers.networks import random_one_click
from toolkit.errors import InputError


def test_a_network_of_the_same_kind(tmp_path: Path) -> None:
    source = random_one_click()
    source.save_pretrained(tmp_path)
    weights = initial_weights(random_one_click(seed=1), tmp_path)
    assert not isinstance(weights, Path)
    assert weights.keys() == source.state_dict().keys()
    assert all(torch.equal(weights[name], value) for name, value in source.state_dict().items())


@pytest.mark.parametrize("click_in_masks", [False, True])
def test_a_click_free_network_answers_as_its_source_does_without_clicks(
    tmp_path: Path, click_in_masks: bool
) -> None:
    source = random_one_click(click_in_masks=click_in_masks)
    source.save_pretrained(tmp_path)
    free = random_one_click(seed=1, click_embedding=False, click_in_masks=click_in_masks)
    weights = initial_weights(free, tmp_path)
    assert not isinstance(weights, Path)
    free.load_state_dict(dict(weights))
    image = torch.rand(1, 3, 64, 96) * 255
    with torch.no_grad():
        expected, answer = source(image), free(image)
    torch.testing.assert_close(answer.mask_features, expected.mask_features)
    for own, other in zip(answer.levels, expected.levels, strict=True):
        torch.testing.assert_close(own.logits, other.logits)
        torch.testing.assert_close(own.distances, other.distances)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such weights"):
        initial_weights(random_one_click(), tmp_path / "nowhere")
