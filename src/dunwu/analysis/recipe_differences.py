"""Where the recipes of several runs differ, key by key. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

_NAMED = ("stages", "columns")
"""Lists of tables that are told apart by a name, so that one more of them does not make all after it differ."""


def recipe_differences(recipes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the keys whose values are not the same in all recipes.

    Args:
        recipes: each as the tables of its recipe.toml, with every default written out; an empty one could not be read, and is not
            compared.
    Returns:
        For each key, in the order of the recipes: `key`, for example "stages.r1_zero.num_steps", and `values`, one for each
        recipe as JSON text; None where the recipe has no such key. Of a table that only some recipes have, one line is told.
    """
    read = [index for index, recipe in enumerate(recipes) if recipe]
    found = _differences([_flatten(recipes[index]) for index in read])
    for entry in found:
        values = dict(zip(read, entry["values"], strict=True))
        entry["values"] = [values.get(index) for index in range(len(recipes))]
    return found


def _differences(flat: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    keys = list(dict.fromkeys(key for recipe in flat for key in recipe))
    found = [
        {"key": key, "values": [recipe.get(key) for recipe in flat]}
        for key in keys
        if len({recipe.get(key) for recipe in flat}) > 1
    ]
    return _without_inner(found)


def _flatten(value: Any, key: str = "") -> dict[str, str]:
    """Give every leaf a key; a table or list has one of its own, which says that it is there."""
    flat: dict[str, str] = {}
    if isinstance(value, Mapping):
        if key:
            flat[key] = "{...}"
        for name, inner in value.items():
            flat |= _flatten(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, Sequence) and value and all(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value):
            label = item.get("name") or item.get("label") or item.get("kind")
            named = key.rpartition(".")[2] in _NAMED and label is not None
            flat |= _flatten(item, f"{key}.{label}" if named else f"{key}.{number}")
    else:
        flat[key] = json.dumps(value, ensure_ascii=False)
    return flat


def _without_inner(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out the keys of a table that is itself missing in the same recipes."""
    kept: list[dict[str, Any]] = []
    missing: list[tuple[str, set[int]]] = []
    for entry in found:
        absent = {index for index, value in enumerate(entry["values"]) if value is None}
        present = {value for value in entry["values"] if value is not None}
        if any(
            entry["key"].startswith(f"{outer}.") and absent == of_outer for outer, of_outer in missing
        ) and (len(present) == 1):
            continue
        if absent and present == {"{...}"}:
            missing.append((entry["key"], absent))
        kept.append(entry)
    return kept
