"""Pretrained weights of a backbone from a local folder, as the hub's repositories hold them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForImageClassification

from models.backbones import build_backbone
from models.backbones.weights import load_backbone_weights
from tests.helpers.tiny_backbones import TINY
from toolkit.errors import InputError


def published(folder: Path, model_type: str, classifier: bool = True, **changes) -> torch.nn.Module:
    """Save a network with random weights, as its authors would."""
    torch.manual_seed(7)
    config = AutoConfig.for_model(model_type, **{**TINY[model_type], **changes})
    kind = AutoModelForImageClassification if classifier else AutoModel
    network = kind.from_config(config).eval()
    network.save_pretrained(folder)
    return network


@pytest.mark.parametrize("classifier", [True, False])
@pytest.mark.parametrize("model_type", TINY)
def test_every_weight_of_the_body_arrives(model_type: str, classifier: bool, tmp_path: Path) -> None:
    network = published(tmp_path, model_type, classifier)
    torch.manual_seed(1)
    backbone = build_backbone(model_type, TINY[model_type]).eval()
    pixels = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = backbone(pixels)
        load_backbone_weights(backbone, tmp_path)
        after = backbone(pixels)
    assert all(not torch.allclose(one, other) for one, other in zip(before, after, strict=True))
    own = list(network.state_dict().values())
    for name, value in backbone.state_dict().items():
        if "hidden_states_norms" not in name:
            assert any(value.shape == other.shape and torch.equal(value, other) for other in own), name


@pytest.mark.parametrize(("model_type", "first"), [("resnet", 1), ("segformer", 0)])
def test_the_maps_are_those_of_the_published_network(model_type: str, first: int, tmp_path: Path) -> None:
    network = published(tmp_path, model_type)
    backbone = build_backbone(model_type, TINY[model_type]).eval()
    load_backbone_weights(backbone, tmp_path)
    pixels = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        wanted = network(pixels, output_hidden_states=True).hidden_states[first:]
        for got, expected in zip(backbone(pixels), wanted, strict=True):
            torch.testing.assert_close(got, expected)


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    published(tmp_path, "resnet", hidden_sizes=[8, 16, 24, 48])
    with pytest.raises(InputError, match="backbone_weights"):
        load_backbone_weights(build_backbone("resnet", TINY["resnet"]), tmp_path)


def test_weights_that_lack_a_stage_are_refused(tmp_path: Path) -> None:
    published(tmp_path, "resnet")
    deeper = build_backbone("resnet", {**TINY["resnet"], "depths": [1, 1, 1, 2]})
    with pytest.raises(InputError, match="lacks"):
        load_backbone_weights(deeper, tmp_path)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    published(tmp_path, "convnext")
    with pytest.raises(InputError, match="a convnext network; the backbone is resnet"):
        load_backbone_weights(build_backbone("resnet", TINY["resnet"]), tmp_path)


def test_a_missing_folder_is_named() -> None:
    with pytest.raises(InputError, match="'/no/such/folder': no such folder"):
        load_backbone_weights(build_backbone("resnet", TINY["resnet"]), "/no/such/folder")


def test_the_compact_backbone_has_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="compact"):
        load_backbone_weights(build_backbone("compact", {}), tmp_path)


def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    published(tmp_path, "resnet")
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="can't be loaded"):
        load_backbone_weights(build_backbone("resnet", TINY["resnet"]), tmp_path)
