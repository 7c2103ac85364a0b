"""From a recipe to the task that the training loop runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.recipes.reading import find_recipe, read_recipe
from models.recipes.schema import OneClickRecipe, ProposalRecipe, ScheduleSettings
from toolkit.training import Schedule

if TYPE_CHECKING:
    from toolkit.training import TrainingTask


def build_schedule(settings: ScheduleSettings) -> Schedule:
    """The training loop's schedule from a recipe's section."""
    return Schedule(**settings.model_dump())


def build_task(name: str | Path, overrides: Sequence[str] = ()) -> tuple[TrainingTask, Schedule, str]:
    """Build what a recipe describes.

    Args:
        name: A recipe file, or the name of a packaged recipe.
        overrides: ``section.key=value`` each.

    Returns:
        The task, its schedule, and the recipe's name (the file's stem).

    Raises:
        InputError: The recipe, its data or its frozen network cannot be used.
    """
    recipe = read_recipe(name, overrides)
    schedule = build_schedule(recipe.schedule)
    stem = find_recipe(name).stem
    if isinstance(recipe, OneClickRecipe):
        from models.tasks.one_click import OneClickTask

        return OneClickTask(recipe), schedule, stem
    if isinstance(recipe, ProposalRecipe):
        from models.tasks.cpn import ProposalTask

        return ProposalTask(recipe), schedule, stem
    from models.tasks.pvm import VerificationTask

    return VerificationTask(recipe), schedule, stem
