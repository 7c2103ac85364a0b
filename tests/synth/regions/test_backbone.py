"""1C-DSN's backbone in a Mask2Former: the same maps, kept where frozen, refused where it does not fit."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoBackbone, AutoConfig

from models.loading import BUNDLED
from models.one_click import OneClickConfig, OneClickModel
from synth.regions.backbone import CompactFeatures, CompactFeaturesConfig, take_over_backbone
from synth.regions.extractor import RegionExtractor
from synth.regions.training import RegionsTask, make_model
from tests.helpers.regions import TINY
from tests.helpers.scenes import write_photos
from toolkit.cli import run
from toolkit.errors import InputError
from toolkit.training import Schedule, fit

SHAPE = {"stem": TINY.stem, "widths": list(TINY.backbone), "depths": list(TINY.depths)}


@pytest.fixture
def one_click(tmp_path):
    """A 1C-DSN with random weights, and statistics of BatchNorm that differ from those it begins with."""
    torch.manual_seed(3)
    network = OneClickModel(OneClickConfig(backbone_settings=SHAPE))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean)
            torch.nn.init.uniform_(module.weight)
    network.save_pretrained(tmp_path / "one-click")
    return network.eval()


def features_of(network):
    return next(module for module in network.modules() if isinstance(module, CompactFeatures))


def test_it_gives_the_maps_of_the_one_click_network(one_click, tmp_path):
    network = make_model(TINY).eval()
    pixels = torch.randn(2, 3, 64, 96)
    before = features_of(network)(pixels).feature_maps
    take_over_backbone(network, tmp_path / "one-click")
    found = features_of(network)(pixels).feature_maps
    wanted = one_click.backbone(pixels)
    shapes = [(2, 16, 16, 24), (2, 24, 8, 12), (2, 32, 4, 6), (2, 32, 2, 3)]
    assert [tuple(one.shape) for one in found] == shapes
    for own, other, old in zip(found, wanted, before, strict=True):
        assert torch.equal(own, other)
        assert not torch.allclose(own, old)


def test_transformers_finds_it_by_its_name(tmp_path):
    config = CompactFeaturesConfig(**SHAPE, out_features=["stage2", "stage4"])
    network = AutoBackbone.from_config(config).eval()
    assert network.channels == [24, 32]
    pixels = torch.randn(1, 3, 32, 32)
    found = network(pixels).feature_maps
    assert [tuple(one.shape) for one in found] == [(1, 24, 4, 4), (1, 32, 1, 1)]
    network.save_pretrained(tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).widths == SHAPE["widths"]
    again = CompactFeatures.from_pretrained(tmp_path).eval()
    assert again.channels == [24, 32]
    assert all(torch.equal(a, b) for a, b in zip(found, again(pixels).feature_maps, strict=True))


@pytest.mark.parametrize("frozen", [True, False])
def test_training_leaves_alone_what_is_frozen(one_click, tmp_path, frozen):
    photos = str(write_photos(tmp_path / "photos", count=2, own=0))
    config = replace(TINY, frozen=frozen)
    task = RegionsTask(photos, None, config, 64, backbone=tmp_path / "one-click")
    queries = next(p for name, p in task.model.named_parameters() if "queries_features" in name)
    first = queries.detach().clone()
    schedule = Schedule(steps=3, batch_size=2, lr=1e-3, warmup_steps=0, ema_decay=None, workers=0)
    result = fit(task, schedule, tmp_path / "run", resume=False)
    learned = features_of(RegionExtractor.load(result["final"], "cpu").model).network.state_dict()
    before = one_click.backbone.state_dict()
    same = [torch.allclose(learned[name], before[name], atol=1e-3) for name in before if "num_" not in name]
    assert all(same) if frozen else sum(same) < len(same) / 2  # saved in half precision
    assert not torch.equal(queries, first)
    others = Path(result["final"]).stat().st_mode & 0o044
    assert (Path(result["final"]) / "model.safetensors").stat().st_mode & 0o044 == others


def test_what_does_not_fit_is_refused(one_click, tmp_path):
    with pytest.raises(InputError, match=r"no 1C-DSN there"):
        take_over_backbone(make_model(TINY), tmp_path / "none")
    other = make_model(replace(TINY, backbone=(16, 24, 32, 40)))
    with pytest.raises(InputError, match=r"expected stem, widths and depths 8, \[16, 24, 32, 40\], \["):
        take_over_backbone(other, tmp_path / "one-click")


def test_the_command_starts_from_the_bundled_one(tmp_path, capsys):
    photos = str(write_photos(tmp_path / "photos", count=2, own=0))
    size = ["--steps", "1", "--batch-size", "1", "--crop", "32", "--workers", "0", "--precision", "no"]
    command = ["synth", "train-regions", photos, *size, "--out"]
    assert run([*command, str(tmp_path / "a"), "--frozen", "--resume"]) == 0  # nothing to go on from yet
    found = features_of(RegionExtractor.load(tmp_path / "a" / "final", "cpu").model).network
    bundled = OneClickModel.from_pretrained(BUNDLED / "one-click", dtype=torch.float32).backbone
    assert torch.allclose(found.stem[0][0].weight, bundled.stem[0][0].weight, atol=1e-3)
    assert run([*command, str(tmp_path / "b"), "--backbone", str(tmp_path)]) == 2
    assert "no 1C-DSN there" in capsys.readouterr().err
