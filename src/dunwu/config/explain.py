"""Pydantic's complaints about a recipe in the words of the recipe: key, value, what is allowed, the nearest
valid key."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from dunwu.config.base import NONE, ConfigModel
from dunwu.config.chain import RecipeFaultsError
from dunwu.config.keys import Location, models_of, nearest, nearest_key, resolve

_NUMBER = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": 'text in "quotes"',
}
_BOUNDS = {
    "greater_than": "above",
    "greater_than_equal": "at least",
    "less_than": "below",
    "less_than_equal": "at most",
}


def explain(error: ValidationError, data: Mapping[str, Any]) -> list[tuple[list[int | str], str]]:
    """Turn a validation error of a recipe into one location and sentence per mistake.

    Args:
        data: what was validated, to name list entries and to leave out errors that follow from others.
    """
    found: list[tuple[list[int | str], str]] = []
    for item in error.errors(include_url=False):
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, RecipeFaultsError):
            found += [(_written(place, data), sentence) for place, sentence in cause.faults]
            continue
        if item["type"] == "too_short" and item["input"]:
            continue  # pydantic counts only the valid entries; the invalid ones have errors of their own
        location, annotation, owner = resolve(item["loc"])
        found.append((location, _sentence(dict(item), location, annotation, owner)))
    return found


def spelled_key(location: Location, data: Any) -> str:
    """Write a location as a dotted key that `--set` accepts, list entries by their name or kind where they
    have one."""
    segments = []
    for segment in location:
        label: Any = segment
        if isinstance(data, list) and isinstance(segment, int) and segment < len(data):
            entry = data[segment]
            label = entry_name(entry) or segment
            labels = [entry_name(other) for other in data]
            label = segment if labels.count(label) > 1 else label
            data = entry
        else:
            data = data.get(segment) if isinstance(data, Mapping) else None
        segments.append(str(label))
    return ".".join(segments)


def entry_name(entry: Any) -> str | None:
    """Return the name by which a list's entry can be called: its `name`, else its `kind`."""
    name = entry.get("name", entry.get("kind")) if isinstance(entry, Mapping) else None
    return name if isinstance(name, str) else None


def spelled_value(value: Any) -> str:
    """Write a value roughly as TOML would, cut to what fits into a sentence."""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, str):
        text = f'"{value}"'
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key} = {spelled_value(inner)}" for key, inner in value.items()) + "}"
    elif isinstance(value, list):
        text = "[" + ", ".join(map(spelled_value, value)) + "]"
    else:
        text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _written(place: Location, data: Any) -> list[int | str]:
    """Shorten a place in a recipe to one in its plain data, where a list of one entry may stand as that entry alone."""
    for count, segment in enumerate(place):
        if isinstance(data, str):
            return list(place[:count])
        try:
            data = data[segment]
        except (KeyError, IndexError, TypeError):
            break
    return list(place)


def _sentence(
    item: dict[str, Any], location: Location, annotation: Any, owner: type[ConfigModel] | None
) -> str:
    kind: str = item["type"]
    context: dict[str, Any] = item.get("ctx", {})
    if kind == "extra_forbidden" and owner is not None:
        return _unknown_key(str(location[-1]), owner)
    if kind == "missing":
        return "is missing" + _kinds_hint(annotation)
    if kind == "union_tag_not_found":
        return "has no `kind`" + _kinds_hint(annotation)
    if kind in ("union_tag_invalid", "literal_error"):
        allowed = re.findall(r"'([^']*)'", context.get("expected_tags") or context["expected"])
        given = str(context.get("tag", item["input"]))
        what = f'kind = "{given}" is not known' if kind == "union_tag_invalid" else "is not known"
        return what + (_guess(nearest(given, allowed)) or ".") + f" Allowed: {', '.join(allowed)}"
    if kind in _BOUNDS:
        bound = next(iter(context.values()))
        written = str(bound) if isinstance(bound, int) else f"{bound:g}"
        return f"must be {_BOUNDS[kind]} {written}" + _none_hint(location, owner)
    if kind == "string_pattern_mismatch":
        return "must be letters, digits, '.', '_' and '-', and begin with a letter or digit"
    if kind == "string_too_short":
        return "is empty; give a name"
    if kind == "too_short":
        return "is empty; give at least one entry"
    if kind == "value_error":
        return str(context["error"])
    return _wrong_type(kind, item["msg"]) + _none_hint(location, owner)


def _unknown_key(key: str, owner: type[ConfigModel]) -> str:
    near = nearest_key(key, owner)
    if near is None:
        return f"is an unknown key; keys here: {', '.join(owner.model_fields)}"
    return "is an unknown key" + _guess(near)


def _guess(near: str | None) -> str:
    return f"; did you mean `{near}`?" if near else ""


def _kinds_hint(annotation: Any) -> str:
    models = models_of(annotation)
    named = [kind for kind, model in models.items() if "kind" in model.model_fields]
    return f'; for example kind = "{named[0]}", allowed kinds: {", ".join(named)}' if named else ""


def _none_hint(location: Location, owner: type[ConfigModel] | None) -> str:
    key = str(location[-1])
    return f', or "{NONE}" to switch it off' if owner is not None and owner.accepts_none(key) else ""


def _wrong_type(kind: str, message: str) -> str:
    for prefix, words in _NUMBER.items():
        if kind.startswith(f"{prefix}_"):
            return f"must be {words}"
    if kind.startswith(("tuple", "list")):
        return "must be a list, written [a, b]"
    if kind.startswith(("model", "dict")):
        return "must be a table of keys"
    if kind == "finite_number":
        return "must be a finite number"
    return message[0].lower() + message[1:]
