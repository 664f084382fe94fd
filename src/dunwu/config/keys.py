"""What keys a recipe may have, read off its models: for error messages and for finding a misspelt or
misplaced key."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from dunwu.config.base import ConfigModel
from dunwu.config.recipe import Recipe

Location = Sequence[int | str]


def models_of(annotation: Any) -> dict[str, type[ConfigModel]]:
    """Return the models that a value of this type may be, by their `kind` (a model without one by its class
    name)."""
    if isinstance(annotation, type) and issubclass(annotation, ConfigModel):
        kind = annotation.model_fields.get("kind")
        return {str(kind.default) if kind and kind.default else annotation.__name__: annotation}
    if get_origin(annotation) is Annotated:
        return models_of(get_args(annotation)[0])
    found: dict[str, type[ConfigModel]] = {}
    for inner in get_args(annotation):
        if inner not in (NoneType, Ellipsis):
            found |= models_of(inner)
    return found


def resolve(location: Location) -> tuple[list[int | str], Any, type[ConfigModel] | None]:
    """Follow a pydantic error's location through the models.

    Returns:
        The location without the union tags that pydantic puts into it; the annotation at its end (None where
        an unknown key ends it); and the model that the last key belongs to.
    """
    shown: list[int | str] = []
    annotation: Any = Recipe
    owner: type[ConfigModel] | None = None
    for segment in location:
        models = models_of(annotation)
        if get_origin(annotation) is dict:
            shown.append(segment)
            annotation = get_args(annotation)[1]
            continue
        if isinstance(segment, str) and len(models) > 1 and segment in models:
            annotation = models[segment]
            continue
        shown.append(segment)
        if isinstance(segment, str) and models:
            owner = next(iter(models.values()))
            field = owner.model_fields.get(segment)
            annotation = field.annotation if field else None
    return shown, annotation, owner


def key_paths(model: type[ConfigModel], depth: int = 4) -> Iterator[str]:
    """Yield the dotted paths of all keys of a model and of the tables in it, nearest first."""
    yield from model.model_fields
    if depth:
        for name, field in model.model_fields.items():
            for inner in models_of(field.annotation).values():
                yield from (f"{name}.{path}" for path in key_paths(inner, depth - 1))


def nearest_key(key: str, owner: type[ConfigModel]) -> str | None:
    """Return the valid key that `key` most likely stands for, as seen from the table `owner`; None if none is
    near.

    The same name in a table inside, or anywhere in a recipe, goes before a similar name.
    """
    own, inside, everywhere = (
        _by_leaf(owner.model_fields),
        _by_leaf(key_paths(owner)),
        _by_leaf(key_paths(Recipe)),
    )
    for paths in (inside, everywhere):
        if key in paths:
            return paths[key]
    for paths, likeness in ((own, 0.6), (inside, 0.75)):
        near = difflib.get_close_matches(key, paths, n=1, cutoff=likeness)
        if near:
            return paths[near[0]]
    return None


def _by_leaf(paths: Iterable[str]) -> dict[str, str]:
    """Map each last part to the nearest of the paths that end with it."""
    return {path.rpartition(".")[2]: path for path in reversed(list(paths))}


def nearest(word: str, allowed: Sequence[str]) -> str | None:
    """Return the allowed word most like `word`, None if none is near."""
    close = difflib.get_close_matches(word.lower(), allowed, n=1, cutoff=0.6)
    return close[0] if close else None
