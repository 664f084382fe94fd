"""A recipe as TOML, every default written out, in the order of the models' fields. Called by runs/ and the
command line."""

from collections.abc import Mapping
from typing import Any

import tomli_w

from dunwu.config.base import NONE, ConfigModel
from dunwu.config.recipe import Recipe


def dump_recipe(recipe: Recipe) -> str:
    """Write the resolved recipe as TOML; loading the text gives an equal recipe, and equal recipes give equal
    text."""
    return tomli_w.dumps(plain(recipe))


def plain(value: Any) -> Any:
    """Turn a recipe or a part of it into the mappings, lists and scalars of TOML; None becomes "none" or is
    left out."""
    if isinstance(value, ConfigModel):
        names = sorted(type(value).model_fields, key=lambda name: (name != "kind", name != "name"))
        items = {name: plain(getattr(value, name)) for name in names}
        for name in [name for name, item in items.items() if item is None]:
            if value.accepts_none(name):
                items[name] = NONE
            else:
                del items[name]
        return items
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value
