"""Training recipes: YAML files, validated, that build a training task and its schedule."""

from models.recipes.build import build_task
from models.recipes.reading import find_recipe, read_recipe, recipe_names

__all__ = ["build_task", "find_recipe", "read_recipe", "recipe_names"]
