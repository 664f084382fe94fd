"""Every recipe that comes with dunwu is whole and can run here."""

import pytest

from dunwu.config.check import check_recipe
from dunwu.config.dump import dump_recipe
from dunwu.config.load import build_recipe, load_recipe
from dunwu.config.shipped import shipped_recipes

RECIPES = shipped_recipes()


def test_the_quickstart_is_there():
    assert "quickstart" in RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_loads_checks_and_says_what_it_is(name):
    recipe = load_recipe(name)
    check_recipe(recipe)
    assert recipe.name == name
    assert RECIPES[name].read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_survives_being_written_out(name):
    import tomllib

    recipe = load_recipe(name)
    assert build_recipe(tomllib.loads(dump_recipe(recipe)), source="written") == recipe
