"""Every recipe by its name: those of the five projects, and ours."""

from digitlib.recipes.ours import OURS
from digitlib.recipes.projects import PROJECTS
from digitlib.recipes.recipe import Recipe, one_cycle

__all__ = ["RECIPES", "Recipe", "get_recipe", "one_cycle"]

RECIPES = {recipe.name: recipe for recipe in (*PROJECTS, *OURS)}


def get_recipe(name: str) -> Recipe:
    """The recipe of that name; ValueError for an unknown one, with those that there are."""
    if name not in RECIPES:
        raise ValueError(f"unknown recipe {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]
