"""Reads a recipe: TOML, then `--set` overrides, then validation, with every mistake told at once. Imports no
torch.

Does not look at what the recipe names; that is check.py. Called by the command line and by tests.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from dunwu.config.explain import entry_name, explain, spelled_key, spelled_value
from dunwu.config.keys import Location, nearest
from dunwu.config.recipe import Recipe
from dunwu.config.shipped import find_recipe
from dunwu.errors import ConfigError

Place = tuple[int | str, ...]


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Load a recipe file, or one that comes with dunwu by its name.

    Args:
        overrides: "stages.r1_zero.num_steps=40"; lists by index, or by an entry's name or kind; values as in
            TOML, with the quotes around plain words left out.
    Raises:
        ConfigError: the file is not there or is no TOML, or a key or value is not allowed; the message names
            each mistake with its line, key, value, what is allowed and the nearest valid key.
    """
    file = find_recipe(str(path))
    text = _read(file)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_syntax_error(file, text, error)) from None
    return build_recipe(data, overrides, source=str(file), text=text)


def build_recipe(
    data: dict[str, Any], overrides: Sequence[str] = (), *, source: str, text: str = ""
) -> Recipe:
    """Make a recipe of plain data and overrides, which change the data in place.

    Args:
        source: what errors call the data, for example the file's name.
        text: the file's text, to find the lines of mistakes.
    Raises:
        ConfigError: as `load_recipe`.
    """
    set_paths = [apply_override(data, override) for override in overrides]
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        mistakes = [
            _told(location, sentence, data, text, set_paths) for location, sentence in explain(error, data)
        ]
        count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise ConfigError(f"{source} has {count}:\n\n" + "\n\n".join(mistakes)) from None


def apply_override(data: dict[str, Any], override: str) -> Place:
    """Set one key of a recipe's plain data in place; tables on the way are made.

    Returns:
        Where it was set.
    Raises:
        ConfigError: it is not of the form key=value, or names a list's entry that is not there.
    """
    key, equals, text = override.partition("=")
    segments = key.strip().split(".")
    if not equals or not all(segments):
        raise ConfigError(f"--set {override}: write it as key=value, for example --set stages.0.num_steps=40")
    value = _override_value(override, text.strip())
    at: Any = data
    path: list[int | str] = []
    for segment, following in zip(segments, [*segments[1:], None], strict=True):
        place = _entry_index(override, at, segment, path, data) if isinstance(at, list) else segment
        path.append(place)
        if following is None:
            at[place] = value
            break
        if isinstance(at, dict):
            at.setdefault(place, {})
        if not isinstance(at[place], dict | list):
            where = f"{spelled_key(path, data)} is {spelled_value(at[place])}"
            raise ConfigError(f"--set {override}: {where}, which has no keys inside it")
        at = at[place]
    return tuple(path)


def _override_value(override: str, text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        if text and text[0] not in "[{\"'" and "\n" not in text:
            return text  # a plain word needs no quotes: --set model.path=micro
        raise ConfigError(
            f"--set {override}: the value is not TOML ({error}); quote it for the shell"
        ) from None


def _entry_index(override: str, entries: list[Any], segment: str, path: Location, data: Any) -> int:
    names = [entry_name(entry) for entry in entries]
    if segment in names:
        return names.index(segment)
    if segment.isdigit() and int(segment) < len(entries):
        return int(segment)
    known = [name for name in names if name]
    near = nearest(segment, known)
    raise ConfigError(
        f"--set {override}: {spelled_key(path, data)} has no entry {segment}"
        + (f"; did you mean {near}? " if near else ". ")
        + f"It has {len(entries)}: {', '.join(known) or 'without names'}, by index from 0"
    )


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None


def _syntax_error(file: Path, text: str, error: tomllib.TOMLDecodeError) -> str:
    place = re.search(r"at line (\d+), column (\d+)", str(error))
    if place is None:
        return f"{file} is not TOML: {error}"
    line, column = int(place[1]), int(place[2])
    shown = text.splitlines()[line - 1] if line <= len(text.splitlines()) else ""
    return f"{file}, line {line} is not TOML: {error}\n\n  {shown}\n  {' ' * (column - 1)}^"


def _told(
    location: Location, sentence: str, data: Mapping[str, Any], text: str, set_paths: Sequence[Place]
) -> str:
    try:
        value = reduce(lambda at, segment: at[segment], location, cast(Any, data))
    except (KeyError, IndexError, TypeError):
        return f"  {spelled_key(location, data)}\n    {sentence}"  # a key that is missing has no place either
    shown = "" if isinstance(value, dict) else f" = {spelled_value(value)}"
    return f"  {_origin(location, text, set_paths)}{spelled_key(location, data)}{shown}\n    {sentence}"


def _origin(location: Location, text: str, set_paths: Sequence[Place]) -> str:
    """Say where a key was given: by --set, or on which line, if its name stands on one line only."""
    place = tuple(location)
    if any(place[: len(path)] == path or path[: len(place)] == place for path in set_paths):
        return "--set "
    key = re.escape(str(location[-1])) if location else ""
    lines = [
        number
        for number, line in enumerate(text.splitlines(), start=1)
        if re.match(rf'\s*"?{key}"?\s*=|\s*\[+(.*\.)?{key}\]+', line)
    ]
    return f"line {lines[0]}: " if len(lines) == 1 else ""
