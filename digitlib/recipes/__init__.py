"""Every recipe by its name: those of the five projects, and ours."""

import difflib

from digitlib.recipes.ours import OURS
from digitlib.recipes.projects import PROJECTS
from digitlib.recipes.recipe import Recipe, one_cycle

__all__ = ["RECIPES", "Recipe", "get_recipe", "one_cycle"]

RECIPES = {recipe.name: recipe for recipe in (*PROJECTS, *OURS)}


def get_recipe(name):
    """The recipe of that name.

    Raises ValueError for an unknown name, with the names nearest to it.
    """
    if name in RECIPES:
        return RECIPES[name]
    near = difflib.get_close_matches(name.lower(), RECIPES, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(RECIPES)}"
    raise ValueError(f"unknown recipe {name!r}: {hint}")
