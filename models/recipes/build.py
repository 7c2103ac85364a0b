"""From a recipe to the task that the training loop runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.recipes.reading import find_recipe, read_recipe
from models.recipes.schema import (
    DataSettings,
    InteractiveRecipe,
    OneClickRecipe,
    ProposalRecipe,
    RefinerRecipe,
    ScheduleSettings,
)
from toolkit.errors import InputError
from toolkit.training import Schedule

if TYPE_CHECKING:
    from toolkit.training import TrainingTask


def build_schedule(settings: ScheduleSettings) -> Schedule:
    """The training loop's schedule from a recipe's section, whose length is in steps.

    Raises:
        InputError: The length is in epochs (see ``ScheduleSettings.in_steps``), or a value can't be used.
    """
    if settings.steps is None:
        raise InputError("schedule.epochs: needs the training split's size; add --set data.train=FOLDER")
    given = settings.model_dump(exclude={"epochs", "milestones"})
    return Schedule(**given, milestones=tuple(int(milestone) for milestone in settings.milestones))


def count_photos(data: DataSettings) -> int:
    """Photos with objects in the training split: the pictures of one epoch.

    Raises:
        InputError: The recipe names no split, or it holds no such photo.
    """
    from models.data.pool import PhotoPool
    from toolkit.split import read_split

    if data.train is None:
        raise InputError("data.train: no split to train on; add --set data.train=FOLDER")
    return len(PhotoPool(read_split(data.train), data.source_power).records)


def build_task(
    name: str | Path, overrides: Sequence[str] = (), *, pretrained: bool = True
) -> tuple[TrainingTask, Schedule, str]:
    """Build what a recipe describes.

    Args:
        name: A recipe file, or the name of a packaged recipe.
        overrides: ``section.key=value`` each.
        pretrained: Whether to load the recipe's ``backbone_weights``; a run that goes on needs none.

    Returns:
        The task, its schedule, and the recipe's name (the file's stem).

    Raises:
        InputError: The recipe, its data or its frozen network cannot be used.
    """
    recipe = read_recipe(name, overrides)
    if recipe.schedule.epochs is not None:
        recipe = recipe.model_copy(update={"schedule": recipe.schedule.in_steps(count_photos(recipe.data))})
    if not pretrained and not isinstance(recipe, ProposalRecipe | RefinerRecipe):
        recipe = recipe.model_copy(update={"backbone_weights": None})
    schedule = build_schedule(recipe.schedule)
    stem = find_recipe(name).stem
    if isinstance(recipe, OneClickRecipe):
        from models.tasks.one_click import OneClickTask

        return OneClickTask(recipe), schedule, stem
    if isinstance(recipe, ProposalRecipe):
        from models.tasks.cpn import ProposalTask

        return ProposalTask(recipe), schedule, stem
    if isinstance(recipe, RefinerRecipe):
        from models.tasks.refiner import RefinerTask

        return RefinerTask(recipe), schedule, stem
    if isinstance(recipe, InteractiveRecipe):
        from models.systems.table import definition

        return definition(recipe.system).task(recipe), schedule, stem
    from models.tasks.pvm import VerificationTask

    return VerificationTask(recipe), schedule, stem
