"""Published backbones: four maps at strides 4, 8, 16, 32 for any picture; sizes; saving; frozen norms."""

from __future__ import annotations

import pytest
import torch

from models.backbones import build_backbone
from models.backbones.published import PUBLISHED
from models.one_click.model import OneClickModel
from tests.helpers.networks import one_click_config
from tests.helpers.tiny_backbones import TINY
from toolkit.errors import InputError


@pytest.mark.parametrize("model_type", TINY)
@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 96), (160, 32), (96, 224)])
def test_maps_at_four_strides_for_sizes_divisible_by_32(model_type: str, height: int, width: int) -> None:
    backbone = build_backbone(model_type, TINY[model_type]).eval()
    with torch.no_grad():
        maps = backbone(torch.rand(2, 3, height, width))
    assert [tuple(m.shape) for m in maps] == [
        (2, channels, height // stride, width // stride)
        for channels, stride in zip(backbone.channels, (4, 8, 16, 32), strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "channels", "millions"),
    # parameters of the papers' classifiers, less their last layer of 1000 classes: He et al. report depth and
    # FLOPs only, so ResNets by counting their layers; Swin-T 28.3, Swin-L 196.5 (21 841 classes: 228.8),
    # ConvNeXt-T 28.6; MiT-B0 3.4 and MiT-B3 44.1 encoders as SegFormer's table 6 has them, rounded down
    [
        ("resnet-18", (64, 128, 256, 512), 11.18),
        ("resnet-50", (256, 512, 1024, 2048), 23.51),
        ("resnet-101", (256, 512, 1024, 2048), 42.50),
        ("mit-b0", (32, 64, 160, 256), 3.32),
        ("mit-b3", (64, 128, 320, 512), 44.07),
        ("swin-t", (96, 192, 384, 768), 27.52),
        ("swin-l", (192, 384, 768, 1536), 195.0),
        ("convnext-t", (96, 192, 384, 768), 27.82),
    ],
)
def test_published_sizes(name: str, channels: tuple[int, ...], millions: float) -> None:
    with torch.device("meta"):
        backbone = build_backbone(name, {})
        maps = backbone(torch.zeros(1, 3, 224, 160))
    assert backbone.channels == channels
    assert [tuple(m.shape[-2:]) for m in maps] == [(56, 40), (28, 20), (14, 10), (7, 5)]
    count = sum(p.numel() for p in backbone.parameters()) / 1e6
    assert count == pytest.approx(millions, rel=0.005)


def test_settings_replace_those_of_a_published_size() -> None:
    backbone = build_backbone("resnet-18", {"hidden_sizes": [8, 8, 8, 8], "embedding_size": 8})
    assert backbone.channels == (8, 8, 8, 8)
    assert [len(stage.layers) for stage in backbone.body.encoder.stages] == [2, 2, 2, 2]


def test_hub_ids_are_owner_and_name() -> None:
    owners = {published.weights.split("/")[0] for published in PUBLISHED.values()}
    assert owners == {"microsoft", "nvidia", "facebook"}


def test_an_unknown_backbone_is_named_with_those_that_there_are() -> None:
    with pytest.raises(InputError, match=r"'vgg'.*compact.*segformer.*resnet-101.*mit-b3"):
        build_backbone("vgg", {})


@pytest.mark.parametrize("model_type", TINY)
def test_a_network_on_it_saves_and_loads(model_type: str, tmp_path) -> None:
    torch.manual_seed(0)
    config = one_click_config(backbone=model_type, backbone_settings=TINY[model_type])
    network = OneClickModel(config).eval()
    network.save_pretrained(tmp_path)
    loaded = OneClickModel.from_pretrained(tmp_path).eval()
    pixels = torch.rand(1, 3, 64, 96) * 255
    with torch.no_grad():
        for one, other in zip(network(pixels).levels, loaded(pixels).levels, strict=True):
            assert torch.equal(one.logits, other.logits)


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_norms_neither_learn_nor_drift(frozen: bool) -> None:
    config = one_click_config(
        backbone="resnet", backbone_settings=TINY["resnet"], freeze_backbone_norm=frozen
    )
    network = OneClickModel(config).train()
    norm = next(m for m in network.backbone.modules() if isinstance(m, torch.nn.BatchNorm2d))
    head_norm = network.heads.box_tower.units[0].norm
    before, head_before = norm.running_mean.clone(), head_norm.running_mean.clone()
    network(torch.rand(2, 3, 64, 64) * 255)
    assert torch.equal(norm.running_mean, before) == frozen
    assert norm.weight.requires_grad != frozen
    assert not torch.equal(head_norm.running_mean, head_before)
