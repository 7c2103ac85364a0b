from __future__ import annotations

import pytest
import torch
from torch import nn

from models.recipes import read_recipe
from models.systems.fusion import SYSTEM
from models.systems.fusion.backbone import build_at_stride_8
from models.systems.fusion.config import FusionConfig
from models.systems.fusion.network import FusionNetwork
from models.systems.fusion.pyramid import JoinedConv, PyramidHead
from models.systems.fusion.stream import FusionStream, SqueezeExcitation
from tests.helpers.fusion import TINY, tiny_fusion
from tests.helpers.networks import shake_norms
from toolkit.errors import InputError

CLICK = torch.tensor([[[10.5, 20.5, 1.0]]])
NOWHERE = torch.tensor([[[10.5, 20.5, -1.0]]])


def picture(seed: int = 0, side: int = 64) -> torch.Tensor:
    return torch.randint(0, 256, (1, 3, side, side), generator=torch.Generator().manual_seed(seed)).float()


def answer(network: FusionNetwork, points: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return network(picture(), points, torch.zeros(1, 1, 64, 64))


@pytest.fixture(scope="module")
def published() -> dict[str, FusionNetwork]:
    """The network of the paper's size in all three kinds, without memory."""
    settings = read_recipe("fusion-r101").model
    with torch.device("meta"):
        return {
            kind: FusionNetwork(FusionConfig(**{**settings, "fusion": kind})).eval()
            for kind in ("baseline", "early", "multi")
        }


def count(network: nn.Module) -> int:
    return sum(weights.numel() for weights in network.parameters())


def test_the_published_size(published: dict[str, FusionNetwork]) -> None:
    multi = published["multi"]
    numbers = sum(v.numel() for name, v in multi.state_dict().items() if "num_batches" not in name)
    assert 4 * numbers / 1e6 == pytest.approx(195.8, rel=0.001)  # MB in fp32 (section 4.2)
    note = SYSTEM.published["fusion-r101"]
    assert f"{count(multi) / 1e6:.2f} M parameters" in note
    assert f"{numbers / 1e6:.2f} M" in note
    assert f"{4 * numbers / 1e6:.1f} MB" in note
    assert f"{100 * (count(multi) / count(published['early']) - 1):.1f} %" in note
    # the fourth channel of the first convolution: 7 · 7 · 64
    assert count(published["early"]) - count(published["baseline"]) == 3136


def test_the_published_shapes(published: dict[str, FusionNetwork]) -> None:
    network, seen = published["multi"], torch.zeros(2, 4, 256, 192, device="meta")
    assert network.backbone(seen)[-1].shape == (2, 2048, 32, 24)
    assert network.stream is not None
    assert network.stream.initial(seen).shape == (2, 256, 64, 48)
    assert network.stream(seen).shape == (2, 256, 32, 24)
    merge = network.head.merge
    assert merge.own.in_channels - 4 * 128 + merge.joined.in_channels == 2304
    assert network.head.classify.in_channels == 512
    image, points = torch.zeros(2, 3, 256, 192, device="meta"), torch.zeros(2, 1, 3, device="meta")
    assert network(image, points, torch.zeros(2, 1, 256, 192, device="meta")).shape == (2, 1, 256, 192)


def test_parameters_of_the_stream_by_hand() -> None:
    # 7·7·4·256 + norm; per block two 3·3·256·256 + norms, 256·16 + 16, 16·256 + 256; a 1×1 shortcut + norm
    block = 2 * (9 * 256 * 256 + 512) + (256 * 16 + 16) + (16 * 256 + 256)
    assert count(FusionStream(4, 256, 3, 16)) == 49 * 4 * 256 + 512 + 3 * block + 256 * 256 + 512


@pytest.mark.parametrize("name", ["compact", "vgg-16", "resnet"])
def test_backbones_at_stride_8(name: str) -> None:
    settings = {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 2],
                "layer_type": "basic"} if name == "resnet" else {}  # fmt: skip
    with torch.device("meta"):
        backbone = build_at_stride_8(name, settings)
        assert backbone(torch.zeros(1, 3, 64, 96))[-1].shape == (1, backbone.channels[-1], 8, 12)


def test_other_backbones_cannot_be_dilated() -> None:
    with pytest.raises(InputError, match="mit-b0"):
        build_at_stride_8("mit-b0", {})
    with pytest.raises(InputError, match="vgg-16 has none"):
        build_at_stride_8("vgg-16", {"depth": 3})


def test_squeeze_and_excitation_by_hand() -> None:
    layer = SqueezeExcitation(2, 2)
    first, _, second, _ = layer.weigh
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, 1.0]]))
        first.bias.zero_()
        second.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        second.bias.zero_()
        x = torch.tensor([[[[1.0, 3.0]], [[-1.0, 0.0]]]])  # means 2 and -0.5, their sum 1.5
        weighed = layer(x)
    weights = torch.tensor([1.5, -1.5]).sigmoid()[:, None, None]
    assert torch.allclose(weighed[0], x[0] * weights)


def test_a_joined_convolution_is_one_of_the_concatenation() -> None:
    torch.manual_seed(0)
    conv = JoinedConv(3, 2, 4)
    own, joined = torch.randn(1, 3, 5, 5), torch.randn(1, 2, 5, 5)
    assert torch.equal(conv(own, joined), conv(own, None))  # zero at first
    nn.init.normal_(conv.joined.weight)
    weight = torch.cat([conv.own.weight, conv.joined.weight], dim=1)
    whole = torch.nn.functional.conv2d(torch.cat([own, joined], dim=1), weight)
    assert torch.allclose(conv(own, joined), whole, atol=1e-6)


def test_every_cell_of_the_pyramid_sees_the_whole_map() -> None:
    torch.manual_seed(0)
    head = PyramidHead(4, 0, [1], 4, 8)
    shake_norms(head)
    head.eval()
    x = torch.randn(1, 4, 8, 8)
    changed = x.clone()
    changed[0, :, 7, 7] += 5
    with torch.no_grad():
        difference = (head(changed, None) - head(x, None))[0, 0]
    assert (difference[0, 0] != 0).item()


@pytest.mark.parametrize("kind", ["baseline", "early", "multi"])
def test_what_sees_the_click(kind: str) -> None:
    network = tiny_fusion(fusion=kind)
    assert torch.equal(answer(network, CLICK), answer(network, NOWHERE)) == (kind == "baseline")
    negative = CLICK.clone()
    negative[..., 2] = 0
    assert torch.equal(answer(network, negative), answer(network, NOWHERE))


@pytest.mark.parametrize("guidance", ["gaussian", "disk", "euclidean"])
def test_the_guidance_is_a_switch(guidance: str) -> None:
    network = tiny_fusion(guidance=guidance)
    seen = []
    network.stream.register_forward_pre_hook(lambda _, given: seen.append(given[0][0, 3]))
    answer(network, CLICK)
    at, away = seen[0][20, 10].item(), seen[0][20, 20].item()  # ten pixels to the right
    expected = {"gaussian": (1, torch.tensor(-0.5).exp().item()), "disk": (1, 0), "euclidean": (0, 10 / 255)}
    assert (at, away) == pytest.approx(expected[guidance], abs=1e-6)


def test_the_click_is_drawn_as_large_as_asked() -> None:
    network = tiny_fusion(click_scale=4.0)
    seen = []
    network.stream.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    answer(network, CLICK)
    assert seen[0][0, 3, 20, 10].item() == pytest.approx(4.0)
    assert seen[0][0, 3, 20, 20].item() == pytest.approx(4 * 0.60653, abs=1e-4)  # e^(-1/2), ten pixels away
    assert torch.equal(seen[0][:, :3], network.normalise(picture()))  # the photo's channels stay
    assert read_recipe("fusion-r101").model.get("click_scale", FusionConfig().click_scale) == 1


def test_late_fusion_reaches_the_head() -> None:
    network = tiny_fusion()
    before = answer(network, CLICK)
    nn.init.zeros_(network.stream.initial[0][0].weight)
    assert not torch.equal(answer(network, CLICK), before)


def test_an_unknown_kind_of_fusion() -> None:
    with pytest.raises(InputError, match="baseline, early, multi"):
        FusionNetwork(FusionConfig(fusion="late", **TINY))
