"""RITM's networks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from models.sizes import recipe_size
from models.systems.clicking.pretrained import load_pretrained
from models.systems.ritm import RitmConfig, RitmNetwork
from models.systems.ritm.network import ClickStem
from models.systems.ritm.ocr import ObjectContext
from tests.helpers.clicking import tiny_ritm
from tests.helpers.networks import random_one_click
from toolkit.errors import InputError


@pytest.mark.parametrize(
    ("name", "millions"), [("ritm-hrnet-18s", 4.22), ("ritm-hrnet-18", 10.0), ("ritm-hrnet-32", 31.0)]
)
def test_the_published_sizes(name: str, millions: float) -> None:
    size = recipe_size(name)
    assert size.parameters / 1e6 == pytest.approx(millions, rel=0.005)
    assert size.published.startswith(f"{millions} M" if millions < 10 else f"{millions:.1f} M")


def test_the_whole_published_network_runs_forward_and_backward() -> None:
    torch.manual_seed(0)
    config = RitmConfig(backbone="hrnet-18s", backbone_settings={"width": 4}, head_channels=8)
    network = RitmNetwork(config)
    output = network(
        torch.randint(0, 256, (2, 3, 64, 64)),
        torch.tensor([[[20.5, 30.5, 1.0]]] * 2),
        torch.zeros(2, 1, 64, 64),
    )
    assert output.logits.shape == output.auxiliary.shape == (2, 1, 64, 64)
    (output.logits.mean() + output.auxiliary.mean()).backward()
    missing = [name for name, p in network.named_parameters() if p.grad is None]
    assert not missing


def test_clicks_and_the_mask_before_change_the_answer() -> None:
    network = tiny_ritm()
    network.clicks.scale.data.fill_(1.0)
    image, none = torch.full((1, 3, 64, 64), 90), torch.zeros(1, 1, 64, 64)
    positive, negative = torch.tensor([[[20.5, 30.5, 1.0]]]), torch.tensor([[[20.5, 30.5, 0.0]]])
    with torch.no_grad():
        answers = [
            network(image, positive, none).logits,
            network(image, negative, none).logits,
            network(image, positive, torch.ones_like(none)).logits,
        ]
    assert not torch.allclose(answers[0], answers[1])
    assert not torch.allclose(answers[0], answers[2])
    assert answers[0].shape == (1, 1, 64, 64)
    assert network.config.mask_threshold == 0.49


def test_the_click_stem_by_hand() -> None:
    stem = ClickStem(1, 1, 0.05)
    nn.init.ones_(stem.mix.weight)
    nn.init.constant_(stem.mix.bias, -2.0)
    nn.init.ones_(stem.reduce.weight)
    nn.init.zeros_(stem.reduce.bias)
    maps = torch.zeros(1, 3, 4, 4)
    maps[0, :, 1, 1] = 1.0  # 3 - 2 = 1 there; -2 · 0.2 = -0.4 elsewhere
    # windows of the stride-2 3 × 3 hold 4, 6, 6 and 9 pixels, the pixel (1, 1) in each
    expected = [[1 - 3 * 0.4, 1 - 5 * 0.4], [1 - 5 * 0.4, 1 - 8 * 0.4]]
    assert torch.allclose(stem(maps)[0, 0], 0.05 * torch.tensor(expected), atol=1e-6)


def test_the_object_region_is_the_mean_where_the_coarse_mask_is() -> None:
    torch.manual_seed(0)
    context = ObjectContext(4, 3).eval()
    features = torch.randn(1, 4, 5, 6)
    coarse = torch.full((1, 1, 5, 6), -40.0)
    coarse[0, 0, 2, 3] = 40.0
    seen: list[torch.Tensor] = []
    context.down.register_forward_hook(lambda module, given, output: seen.append(given[0]))
    with torch.no_grad():
        context(features, coarse)
    assert torch.allclose(seen[0][0, :, 0, 0], features[0, :, 2, 3], atol=1e-6)


def test_backbones_that_take_no_clicks_are_refused() -> None:
    with pytest.raises(InputError, match="backbone 'resnet-18': takes no clicks"):
        RitmNetwork(RitmConfig(backbone="resnet-18"))


def test_the_backbone_of_a_trained_1c_dsn_can_be_the_start(tmp_path: Path) -> None:
    found = random_one_click(seed=5)
    found.save_pretrained(tmp_path)
    network = tiny_ritm(seed=1)
    load_pretrained(network.backbone, str(tmp_path))
    own = network.backbone.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in found.backbone.state_dict().items())
    other = RitmNetwork(RitmConfig())
    with pytest.raises(InputError, match="a backbone of another kind or size"):
        load_pretrained(other.backbone, str(tmp_path))
    with pytest.raises(InputError, match="the compact backbone has no published weights"):
        load_pretrained(network.backbone, str(tmp_path / "nothing"))
