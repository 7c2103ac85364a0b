"""The published recipes: their schedules, networks and the chain from one to the next."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from models.backbones.published import PUBLISHED
from models.cpn import ProposalConfig, ProposalModel
from models.initial_weights import initial_weights
from models.one_click import OneClickConfig, OneClickModel
from models.one_click.criterion import CriterionConfig, OneClickCriterion, Targets
from models.one_click.model import click_maps_of
from models.pvm import VerificationConfig
from models.recipes import build_task, read_recipe, recipe_names
from models.recipes.build import build_schedule, count_photos
from models.systems.table import definition
from tests.helpers.networks import random_one_click
from tests.helpers.pictures import write_group_split
from tests.helpers.tiny_backbones import TINY
from toolkit.errors import InputError
from toolkit.training import lr_factor
from toolkit.training.checkpoints import load_initial_weights

BACKBONES = {"r101": "resnet-101", "mit-b3": "mit-b3", "swin-l": "swin-l"}
LVIS = 99_388  # photos of LVIS's training set (SimpSON, section 4)


@pytest.mark.parametrize("name", BACKBONES)
def test_panoptic_then_lvis_then_distractors(name: str) -> None:
    panoptic, lvis, distractors = (
        read_recipe(f"one-click-{name}-{stage}") for stage in ("panoptic", "lvis", "distractors")
    )
    assert panoptic.model["backbone"] == BACKBONES[name]
    assert panoptic.model == lvis.model == distractors.model
    assert panoptic.backbone_weights == PUBLISHED[BACKBONES[name]].weights
    assert panoptic.init_from is None
    assert (lvis.backbone_weights, lvis.init_from) == (None, Path(f"runs/one-click-{name}-panoptic/final"))
    assert distractors.init_from == Path(f"runs/one-click-{name}-lvis/final")
    assert (panoptic.schedule.steps, lvis.schedule.epochs, distractors.schedule.epochs) == (90000, 4, 12)
    assert {r.schedule.batch_size for r in (panoptic, lvis, distractors)} == {16}


@pytest.mark.parametrize(("name", "rate"), [("cpn-paper", 1e-4), ("pvm-paper", 5e-3)])
def test_cpn_and_pvm_learn_for_14_epochs_and_slow_down_at_11_and_13(name: str, rate: float) -> None:
    schedule = build_schedule(read_recipe(name).schedule.in_steps(photos=1600))  # 100 steps an epoch
    assert (schedule.steps, schedule.batch_size, schedule.lr) == (1400, 16, rate)
    rates = [schedule.lr * lr_factor(step, schedule) for step in (0, 1099, 1100, 1299, 1300, 1399)]
    assert rates == pytest.approx([rate, rate, rate / 10, rate / 10, rate / 100, rate / 100])


def test_epochs_become_steps_of_the_splits_photos() -> None:
    settings = read_recipe("one-click-swin-l-lvis").schedule.in_steps(LVIS)
    assert settings.steps == 24_847  # 4 · 99 388 / 16
    assert settings.milestones == (18_635,)  # 3 · 99 388 / 16 = 18 635.25
    assert read_recipe("one-click-r50-panoptic").schedule.in_steps(7).steps == 90_000


def test_epochs_count_photos_with_objects(tmp_path: Path) -> None:
    photos = write_group_split(tmp_path)  # four photos
    overrides = [f"data.train={photos}", "schedule.steps=null", "schedule.epochs=5", "schedule.batch_size=8"]
    task, schedule, _ = build_task("one-click-compact", overrides)
    assert count_photos(task.recipe.data) == 4
    assert schedule.steps == 3  # 5 · 4 / 8 = 2.5
    assert task.recipe.schedule.steps == 3
    assert task.recipe.schedule.epochs is None


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["schedule.steps=10"], "either steps or epochs"),
        (["schedule.epochs=null"], "either steps or epochs"),
        (["schedule.epochs=0"], "greater than 0"),
        (["schedule.milestones=[15]"], "expected epochs above 0 and up to 14"),
        (["schedule.epochs=null", "schedule.steps=90", "schedule.milestones=[1.5]"], "expected whole steps"),
    ],
)
def test_bad_lengths_are_named(overrides: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_recipe("cpn-paper", overrides)


def test_no_is_a_precision_and_a_bare_word_of_yaml() -> None:
    recipe = read_recipe("one-click-compact", ["schedule.mixed_precision=no"])
    assert recipe.schedule.mixed_precision == "no"


def test_epochs_need_a_split() -> None:
    with pytest.raises(InputError, match=r"data\.train: no split"):
        build_task("one-click-r101-lvis")


def test_an_extending_recipe_changes_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        yaml.safe_dump({"extends": "one-click-r50-panoptic", "model": {"head_depth": 2}, "data": {"crops": [
            {"size": 64, "until": 1}]}})
    )  # fmt: skip
    base, mine = read_recipe("one-click-r50-panoptic"), read_recipe(tmp_path / "mine.yaml")
    assert mine.model == {**base.model, "head_depth": 2}
    assert [stage.size for stage in mine.data.crops] == [64]
    assert mine.schedule == base.schedule


def test_a_recipe_extends_a_file_beside_it_but_never_itself(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("extends: two.yaml\n")
    (tmp_path / "two.yaml").write_text("extends: one.yaml\n")
    with pytest.raises(InputError, match="extends itself"):
        read_recipe(tmp_path / "one.yaml")
    (tmp_path / "two.yaml").write_text("extends: nothing\n")
    with pytest.raises(InputError, match="recipe 'nothing' is no file and no packaged recipe"):
        read_recipe(tmp_path / "one.yaml")


def tiny_paper_config(backbone: str, **changes) -> OneClickConfig:
    """The published network, narrow."""
    model = read_recipe("one-click-r50-panoptic").model
    narrow = {
        "backbone": backbone, "backbone_settings": TINY[backbone], "pyramid_channels": 16,
        "click_channels": 8, "head_channels": 32, "kernel_channels": 32, "mask_channels": 16,
    }  # fmt: skip
    return OneClickConfig(**{**model, **narrow, **changes})


@pytest.mark.parametrize("embedding", [True, False])
@pytest.mark.parametrize("backbone", TINY)
def test_the_published_design_runs_forward_and_backward(backbone: str, embedding: bool) -> None:
    torch.manual_seed(0)
    network = OneClickModel(tiny_paper_config(backbone, kernel_bank=True, click_embedding=embedding)).train()
    truth = torch.zeros(1, 16, 24)
    truth[0, 4:8, 4:8] = 1
    target = Targets(torch.tensor([[16.0, 16, 32, 32]]), torch.tensor([[24.0, 24]]), truth)
    output = network(torch.rand(2, 3, 64, 96) * 255, click_maps_of([[(24.0, 24.0)]] * 2, 64, 96))
    losses = OneClickCriterion(CriterionConfig(masks_in_all=500))(network, output, [target, target])
    assert losses["total"].isfinite()
    losses["total"].backward()
    idle = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    # P3-P5 hold no object here, so nothing reads their click maps' or masks' part but the shared heads
    assert not [name for name in idle if not name.startswith("backbone")]


def test_the_published_heads_are_entity_segmentations() -> None:
    recipe = read_recipe("one-click-r50-panoptic")
    with torch.device("meta"):
        network = OneClickModel(OneClickConfig(**recipe.model))
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters()}
    for tower in ("class_tower", "box_tower"):
        assert shapes[f"heads.{tower}.units.0.conv.weight"] == (256, 256 + 32, 3, 3)
        assert [shapes[f"heads.{tower}.units.{i}.conv.weight"] for i in (1, 2, 3)] == [(256, 256, 3, 3)] * 3
        assert network.heads.get_submodule(f"{tower}.units.3.norm").num_groups == 32
    assert shapes["heads.kernel_tower.units.0.conv.weight"] == (256, 256 + 2, 3, 3)
    assert len(network.heads.kernel_tower.units) == 3
    assert shapes["heads.kernels.weight"] == (169, 256, 3, 3)
    assert shapes["mask_branch.levels.0.conv.weight"] == (128, 256, 3, 3)
    assert len(network.mask_branch.tower.units) == 4
    assert isinstance(network.mask_branch.tower.units[0].norm, torch.nn.BatchNorm2d)
    assert shapes["mask_branch.project.weight"] == (8, 128, 1, 1)


@pytest.mark.parametrize(
    "name", [n for n in recipe_names() if "compact" not in n and not n.startswith("finetune")]
)
def test_every_published_network_can_be_built(name: str) -> None:
    recipe = read_recipe(name)
    with torch.device("meta"):
        if recipe.task == "one-click":
            OneClickModel(OneClickConfig(**recipe.model))
        elif recipe.task == "cpn":
            ProposalModel(ProposalConfig(feature_channels=256, **recipe.model))
        elif recipe.task == "interactive":
            system = definition(recipe.system)
            system.network(system.config(**recipe.model))
        else:
            assert VerificationConfig(feature_channels=256, **recipe.model).backbone == "resnet-18"


@pytest.mark.parametrize("backbone", TINY)
def test_one_stage_starts_from_all_weights_of_the_stage_before(backbone: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    OneClickModel(tiny_paper_config(backbone)).save_pretrained(tmp_path)
    torch.manual_seed(1)
    network = OneClickModel(tiny_paper_config(backbone))
    unmatched = load_initial_weights(network, initial_weights(network, tmp_path))
    assert unmatched == {"missing": [], "ignored": []}


def test_missing_weights_of_the_stage_before_are_named() -> None:
    with pytest.raises(InputError, match=r"init_from runs/nothing/final: no such weights"):
        initial_weights(torch.nn.Linear(1, 1), Path("runs/nothing/final"))


def test_backbone_weights_of_a_recipe_reach_the_network(tmp_path: Path) -> None:
    from transformers import ResNetConfig, ResNetModel

    torch.manual_seed(3)
    published = ResNetModel(ResNetConfig(**TINY["resnet"]))
    published.save_pretrained(tmp_path / "weights")
    photos = write_group_split(tmp_path / "photos")
    settings = [f"{key}: {value}" for key, value in TINY["resnet"].items()]
    common = [
        f"data.train={photos}", "model.backbone=resnet", f"backbone_weights={tmp_path / 'weights'}",
        f"model.backbone_settings={{{', '.join(settings)}}}",
    ]  # fmt: skip
    random_one_click().save_pretrained(tmp_path / "frozen")
    pixels = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        wanted = published.eval()(pixels, output_hidden_states=True).hidden_states[-1]
        without_cpn = [f"one_click={tmp_path / 'frozen'}", "false_proposals=0"]
        for name, extra in (("one-click-compact", []), ("pvm-compact", without_cpn)):
            task, _, _ = build_task(name, [*common, *extra])
            torch.testing.assert_close(task.model.backbone.eval()(pixels)[-1], wanted)
            task, _, _ = build_task(name, [*common, *extra], pretrained=False)
            assert not torch.allclose(task.model.backbone.eval()(pixels)[-1], wanted)
