"""Settles `dtype = "auto"` before a recipe is run: the run folder says what was computed in. Called by `dunwu run`."""

from dunwu.config.recipe import Recipe
from dunwu.models.precision import settled


def settle_dtypes(recipe: Recipe) -> Recipe:
    """The same recipe with every model's "auto" replaced by what this machine computes fastest in.

    Raises:
        ModelError: a model asks for a device that is not there.
    """
    models = {name: settled(model) for name, model in recipe.models.items()}
    return recipe.model_copy(update={"model": settled(recipe.model), "models": models})
