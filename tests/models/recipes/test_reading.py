"""Recipes: what they may say, and what is said when they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from models.recipes import find_recipe, read_recipe, recipe_names
from models.recipes.build import build_schedule
from models.recipes.schema import ComposerSettings, CriterionSettings, ScheduleSettings
from toolkit.errors import InputError
from toolkit.training import Schedule

MINIMAL = {"task": "one-click", "schedule": {"steps": 10, "batch_size": 2, "lr": 0.1}}


def written(tmp_path: Path, settings: object) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def complaint(path: Path | str, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        read_recipe(path, overrides)
    return str(caught.value)


def test_there_is_a_packaged_recipe_for_every_task() -> None:
    assert {read_recipe(name).task for name in recipe_names()} >= {"one-click", "cpn", "pvm"}


@pytest.mark.parametrize("name", recipe_names())
def test_packaged_recipes_are_valid(name: str) -> None:
    recipe = read_recipe(name)
    schedule = build_schedule(recipe.schedule.in_steps(photos=1000))
    assert isinstance(schedule, Schedule)
    assert recipe.description
    assert recipe.data.crops[-1].until == 1
    assert [c.until for c in recipe.data.crops] == sorted(c.until for c in recipe.data.crops)


def test_settings_are_those_of_the_classes_that_use_them() -> None:
    from dataclasses import fields

    from models.data.composer import ComposerConfig
    from models.one_click.criterion import CriterionConfig

    for section, used, needed in (
        (ComposerSettings, ComposerConfig, {}),
        (CriterionSettings, CriterionConfig, {}),
        (ScheduleSettings, Schedule, MINIMAL["schedule"]),
    ):
        # a schedule in epochs becomes one in steps
        assert section(**needed).model_dump(exclude={"epochs"}) == {
            f.name: getattr(used(**needed), f.name) for f in fields(used)
        }


def test_a_minimal_recipe(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, MINIMAL))
    assert recipe.model == {}
    assert recipe.schedule.steps == 10
    assert recipe.data.train is None


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["schedule.stepz=3"], "one-click.schedule.stepz: Extra inputs are not permitted"),
        (["colour=red"], "one-click.colour: Extra inputs are not permitted"),
        (["schedule.steps=many"], "one-click.schedule.steps: Input should be a valid integer"),
        (["schedule.decay=slow"], "one-click.schedule.decay: Input should be 'cosine', 'step' or 'constant'"),
        (
            ["data.crops=[{size: 100, until: 1}]"],
            "one-click.data.crops.0.size: Input should be a multiple of 32",
        ),
        (["data.composer.groupz=3"], "one-click.data.composer.groupz: Extra inputs"),
        (["model.head_chanels=3"], "model.head_chanels: Extra inputs are not permitted"),
        (["model.head_channels=wide"], "model.head_channels: Input should be a valid integer"),
        (["model.norm=layer"], "model.norm: Input should be 'batch' or 'group'"),
        (["model=3"], "one-click.model: Input should be a valid dictionary"),
        (
            ["task=paint"],
            "task: Input tag 'paint' found using 'task' does not match any of the expected tags",
        ),
        (["schedule.lr=[1, 2]", "data.val_images=few"], "one-click.data.val_images: Input should be"),
    ],
)
def test_bad_keys_are_named(tmp_path: Path, overrides: list[str], said: str) -> None:
    message = complaint(written(tmp_path, MINIMAL), *overrides)
    assert said in message
    assert message.startswith(str(tmp_path / "mine.yaml"))


def test_all_that_is_wrong_is_named(tmp_path: Path) -> None:
    message = complaint(written(tmp_path, {"task": "pvm", "model": {}, "objects": 1}))
    assert "pvm.objects" in message
    assert "pvm.schedule: Field required" in message


def test_other_networks_have_other_settings(tmp_path: Path) -> None:
    for task, key in (("cpn", "query_size"), ("pvm", "use_mask")):
        path = written(tmp_path, {**MINIMAL, "task": task})
        assert read_recipe(path, [f"model.{key}=1"]).model == {key: 1}
        assert "model.head_depth: Extra inputs" in complaint(path, "model.head_depth=1")
        # it comes from the frozen 1C-DSN
        assert "model.feature_channels: Extra inputs" in complaint(path, "model.feature_channels=8")


def test_model_settings_are_converted(tmp_path: Path) -> None:
    path = written(tmp_path, {**MINIMAL, "model": {"head_depth": "3", "click_embedding": "false"}})
    assert read_recipe(path, ["model.backbone_settings={stem: 8}"]).model == {
        "head_depth": 3,
        "click_embedding": False,
        "backbone_settings": {"stem": 8},
    }


def test_overrides_reach_any_depth_and_are_yaml(tmp_path: Path) -> None:
    path = written(tmp_path, MINIMAL)
    overrides = [
        "schedule.lr=2e-3",
        "schedule.lr=1.0e-4",
        "data.train=some/folder",
        "data.composer.scale_limits=[0.5, 2]",
        "schedule.clip_grad_norm=null",
        "description=a = b",
    ]
    recipe = read_recipe(path, overrides)
    assert recipe.schedule.lr == 1e-4  # the last one counts
    assert recipe.data.train == Path("some/folder")
    assert recipe.data.composer.scale_limits == (0.5, 2)
    assert recipe.schedule.clip_grad_norm is None
    assert recipe.description == "a = b"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("schedule.steps", "expected key=value"),
        ("=3", "expected key=value"),
        ("task.kind=3", "'task' is a value, not a section"),
        ("data={a: [", "the value is no YAML"),
    ],
)
def test_bad_overrides(tmp_path: Path, override: str, said: str) -> None:
    message = complaint(written(tmp_path, MINIMAL), override)
    assert said in message
    assert message.startswith(f"--set {override}")


def test_bad_files(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("task: [")
    assert "no YAML" in complaint(path)
    path.write_bytes(b"\xff\xfe\x00")
    assert "no YAML" in complaint(path)
    path.write_text("- a\n- b\n")
    assert "expected a mapping with the keys" in complaint(path)
    path.write_text("")
    assert "expected a mapping with the keys" in complaint(path)


def test_a_recipe_that_does_not_exist() -> None:
    message = complaint("one-clik")
    assert "recipe 'one-clik' is no file and no packaged recipe" in message
    assert "one-click-compact" in message
    assert find_recipe("one-click-compact").name == "one-click-compact.yaml"
