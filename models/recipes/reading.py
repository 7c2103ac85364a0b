"""Read a recipe, apply the command line's changes, and say plainly what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError, create_model

from models.recipes.schema import AnyRecipe, InteractiveRecipe, Recipe
from toolkit.errors import InputError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

FOLDER = Path(__file__).parent
FROM_FROZEN = ("feature_channels", "stage_channels")  # arguments of CPN and PVM that the 1C-DSN decides


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def find_recipe(name: str | Path) -> Path:
    """A recipe file: a path, or the name of one that comes with the package.

    Raises:
        InputError: There is neither.
    """
    path = Path(name)
    if path.is_file():
        return path
    packaged = FOLDER / f"{name}.yaml"
    if packaged.is_file():
        return packaged
    raise InputError(
        f"recipe '{name}' is no file and no packaged recipe; packaged are: {', '.join(recipe_names())}"
    )


def apply_override(settings: dict[str, Any], override: str) -> None:
    """Apply one ``section.key=value`` (the value in YAML) to a recipe's settings, in place.

    Raises:
        InputError: The override has no ``=``, or leads through something that is no section.
    """
    name, separator, value = override.partition("=")
    if not separator or not name:
        raise InputError(f"--set {override}: expected key=value, for example --set schedule.steps=1000")
    *sections, key = name.split(".")
    here: Any = settings
    for section in sections:
        here = here.setdefault(section, {})
        if not isinstance(here, dict):
            raise InputError(f"--set {override}: '{section}' is a value, not a section")
    try:
        here[key] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InputError(f"--set {override}: the value is no YAML ({error})") from error


def load_settings(path: Path, below: Sequence[Path] = ()) -> dict[str, Any]:
    """A recipe file's settings, on top of those of the recipe that its key ``extends`` names.

    Args:
        path: The file.
        below: Files that extend this one.

    Raises:
        InputError: A file is no YAML mapping, is missing, or extends itself.
    """
    if path.resolve() in below:
        raise InputError(f"{path}: extends itself; take the key extends out of one of the recipes")
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no YAML ({error})") from error
    if not isinstance(settings, dict):
        raise InputError(f"{path}: expected a mapping with the keys task, model, data, schedule")
    base = settings.pop("extends", None)
    if base is None:
        return settings
    beside = path.parent / str(base)
    found = beside if beside.is_file() else find_recipe(str(base))
    return merged(load_settings(found, [*below, path.resolve()]), settings)


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes``: sections are merged key by key, all else is replaced."""
    result = dict(base)
    for key, value in changes.items():
        here = result.get(key)
        both = isinstance(here, dict) and isinstance(value, dict)
        result[key] = merged(here, value) if both else value  # type: ignore[arg-type]  # both are mappings
    return result


def read_recipe(name: str | Path, overrides: Sequence[str] = ()) -> AnyRecipe:
    """Read, change and validate a recipe.

    Raises:
        InputError: The file is no YAML mapping, or a key is unknown, missing or ill-typed: each is named.
    """
    path = find_recipe(name)
    settings = load_settings(path)
    for override in overrides:
        apply_override(settings, override)
    try:
        recipe: AnyRecipe = TypeAdapter(Recipe).validate_python(settings)
        checked = {"model": network_settings(recipe)}
        if isinstance(recipe, InteractiveRecipe):
            checked["training"] = training_settings(recipe)
        return recipe.model_copy(update=checked)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(k) for k in e['loc']) or 'task'}: {e['msg']}" for e in error.errors()
        )
        raise InputError(f"{path}: {problems}") from error


def network_settings(recipe: AnyRecipe) -> dict[str, Any]:
    """The recipe's ``model`` section, checked against the arguments of the network's configuration.

    Raises:
        ValidationError: A key is no argument, or its value is ill-typed; transformers would take it.
    """
    hints = arguments_of(_configuration(recipe))
    for name in ("return", "kwargs", *FROM_FROZEN):
        hints.pop(name, None)
    fields: dict[str, Any] = {name: (hint, None) for name, hint in hints.items()}
    section = create_model("model", __config__=ConfigDict(extra="forbid", protected_namespaces=()), **fields)
    whole = create_model("recipe", __config__=ConfigDict(protected_namespaces=()), model=(section, ...))
    checked = whole.model_validate({"model": recipe.model})
    return checked.model_dump(exclude_unset=True)["model"]


def _configuration(recipe: AnyRecipe) -> type[PretrainedConfig]:
    """The class of the configuration that the recipe's ``model`` section fills."""
    if isinstance(recipe, InteractiveRecipe):
        from models.systems.table import definition

        return definition(recipe.system).config
    from models.cpn import ProposalConfig
    from models.one_click import OneClickConfig
    from models.pvm import VerificationConfig
    from models.refiner import RefinerConfig

    kinds: dict[str, type[PretrainedConfig]] = {
        "one-click": OneClickConfig,
        "cpn": ProposalConfig,
        "pvm": VerificationConfig,
        "refiner": RefinerConfig,
    }
    return kinds[recipe.task]


def arguments_of(kind: type[PretrainedConfig]) -> dict[str, Any]:
    """Types of a configuration's arguments by name, with those that it passes on to our own base classes."""
    hints: dict[str, Any] = {}
    for ancestor in reversed(kind.__mro__):
        if ancestor.__module__.startswith("models.") and "__init__" in vars(ancestor):
            hints |= get_type_hints(ancestor.__init__)  # type: ignore[misc]  # of this very class
    return hints


def training_settings(recipe: InteractiveRecipe) -> dict[str, Any]:
    """The recipe's ``training`` section, checked against the system's own settings, with their defaults.

    Raises:
        ValidationError: A key is unknown, or its value is ill-typed.
    """
    from models.systems.table import definition

    own = definition(recipe.system).training_settings
    none = create_model("training", __config__=ConfigDict(extra="forbid"))
    whole = create_model("recipe", training=(own or none, ...))
    return whole.model_validate({"training": recipe.training}).model_dump()["training"]
