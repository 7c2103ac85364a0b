from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from transformers import ResNetConfig, ResNetModel, ViTConfig, ViTMAEConfig, ViTMAEModel, ViTModel

from models.systems.icmformer.backbone import TokenBackbone
from models.systems.icmformer.config import IcmformerConfig
from toolkit.errors import InputError

SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}


def small(**changes: object) -> IcmformerConfig:
    settings = {"width": 16, "heads": 2, "mlp_ratio": 2, "patch": 8, "stem": "patch", "positions": 4}
    return IcmformerConfig(**{**settings, **changes})  # type: ignore[arg-type]


def save_vit(folder: Path, kind: type = ViTModel, config: type = ViTConfig, **changes: object) -> ViTModel:
    torch.manual_seed(3)
    vit = kind(config(**{"image_size": 32, "patch_size": 8, **SIZES, **changes})).eval()
    vit.save_pretrained(folder)
    return vit


def test_a_published_vit_s_weights_find_their_places(tmp_path: Path) -> None:
    vit = save_vit(tmp_path)
    backbone = TokenBackbone(small(), 2).eval()
    backbone.load(tmp_path)
    pixels = torch.randn(1, 3, 32, 32)
    tokens = backbone.located(backbone.stem(pixels))
    expected = vit.embeddings(pixels)[:, 1:]  # without the class token
    torch.testing.assert_close(tokens, expected)
    for own, other in zip(backbone.blocks, vit.layers, strict=False):
        tokens, expected = own(tokens), other(expected)
    torch.testing.assert_close(tokens, expected)


def test_a_masked_autoencoder_s_weights_do_too(tmp_path: Path) -> None:
    vit = save_vit(tmp_path, ViTMAEModel, ViTMAEConfig)
    backbone = TokenBackbone(small(), 3)
    backbone.load(tmp_path)
    state = vit.state_dict()
    torch.testing.assert_close(backbone.stem.weight, state["embeddings.patch_embeddings.projection.weight"])
    last = "layers.2.mlp.fc2.weight"
    (name,) = [name for name in state if name.endswith(last)]
    torch.testing.assert_close(backbone.state_dict()["blocks.2.mlp.fc2.weight"], state[name])


def test_positions_are_resized_to_the_grid(tmp_path: Path) -> None:
    vit = save_vit(tmp_path, image_size=64)  # an 8 × 8 grid
    backbone = TokenBackbone(small(), 2)
    backbone.load(tmp_path)
    grid = vit.embeddings.position_embeddings[:, 1:].transpose(1, 2).view(1, 16, 8, 8)
    expected = F.interpolate(grid, size=(4, 4), mode="bicubic", align_corners=False)
    torch.testing.assert_close(backbone.positions, expected)
    located = backbone.located(torch.zeros(1, 16, 6, 4))
    assert located.shape == (1, 24, 16)
    assert not torch.equal(located[0, 0], located[0, 1])


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    save_vit(tmp_path / "wide", hidden_size=32)
    save_vit(tmp_path / "short", num_hidden_layers=1)
    ResNetModel(
        ResNetConfig(embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1])
    ).save_pretrained(tmp_path / "resnet")
    backbone = TokenBackbone(small(), 2)
    for folder, message in (
        (tmp_path / "wide", "is .*, expected"),
        (tmp_path / "short", "at least 2 blocks"),
        (tmp_path / "resnet", "a resnet network"),
        (tmp_path / "nowhere", "no such folder"),
    ):
        with pytest.raises(InputError, match=message):
            backbone.load(folder)


def test_the_compact_stem_puts_strides_together() -> None:
    backbone = TokenBackbone(
        small(stem="compact", stem_settings={"stem": 4, "widths": [4, 8, 8, 8], "depths": [1, 1, 1, 1]}), 1
    ).eval()
    assert backbone.stem(torch.randn(2, 3, 64, 96)).shape == (2, 16, 8, 12)


def test_the_bundled_backbone_fills_the_compact_stem() -> None:
    one, other = TokenBackbone(small(stem="compact"), 1), TokenBackbone(small(stem="compact"), 1)
    assert not torch.equal(one.stem.body.stem[0][0].weight, other.stem.body.stem[0][0].weight)
    one.load("bundled")
    other.load("bundled")
    assert torch.equal(one.stem.body.stem[0][0].weight, other.stem.body.stem[0][0].weight)
