"""What the tests of the tasks share: a small split, a frozen network, recipes for both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.recipes.schema import OneClickRecipe, ProposalRecipe, VerificationRecipe
from tests.helpers.networks import BACKBONE, random_one_click
from tests.helpers.pictures import write_group_split


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four photos of 96 × 96 with two groups of three shapes each."""
    return write_group_split(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="session")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random 1C-DSN."""
    folder = tmp_path_factory.mktemp("frozen")
    random_one_click().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def settings(photos: Path, frozen: Path) -> dict[str, dict[str, Any]]:
    """For each task, a recipe of a tiny network and crops of 96 px that show whole photos, unchanged."""
    composer = {
        "smallest": 18, "largest": 18, "scale_limits": (1, 1), "smallest_cover": 1.0,
        "paste_probability": 0, "colour_strength": 0, "flip_vertical": 0,
    }  # fmt: skip
    common = {
        "data": {"train": photos, "crops": [{"size": 96, "until": 1}], "composer": composer},
        "schedule": {"steps": 10, "batch_size": 4, "lr": 1e-3},
    }
    one_click = {
        "backbone_settings": BACKBONE,
        "pyramid_channels": 16,
        "click_channels": 8,
        "head_channels": 16,
    }
    pvm = {"backbone_settings": BACKBONE, "crop": 32, "grid": 4, "hidden": 16, "embedding": 8}
    return {
        "one-click": {"task": "one-click", "model": one_click, **common},
        "cpn": {
            "task": "cpn", "one_click": frozen, "model": {"channels": 16, "attention_heads": 2}, **common
        },
        "refiner": {
            "task": "refiner",
            "one_click": frozen,
            "model": {"backbone_settings": BACKBONE, "crop": 32, "channels": 16, "fine_channels": 16},
            **common,
        },
        "pvm": {"task": "pvm", "one_click": frozen, "model": pvm, "false_proposals": 0, **common},
    }  # fmt: skip


@pytest.fixture(scope="session")
def recipes(settings: dict[str, dict[str, Any]]) -> tuple[OneClickRecipe, ProposalRecipe, VerificationRecipe]:
    return (
        OneClickRecipe(**settings["one-click"]),
        ProposalRecipe(**settings["cpn"]),
        VerificationRecipe(**settings["pvm"]),
    )
