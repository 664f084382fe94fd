"""What a part of a recipe may name outside of itself: models, data, files. The type of a key says which of them it names.

`references` finds all of them in a stage, whatever its kind, so that checking, resolving and hashing are written once. Called by
`config.chain`, by check.py and by the pipeline.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin

from pydantic import BeforeValidator, Field

from dunwu.config.base import ConfigModel

Product = Literal["model", "reward_model", "data"]
"""What a stage leaves for later ones: a causal language model and a sequence classifier in `<stage>/model`, rows in
`<stage>/data`."""
STAGE_PREFIX = "stage:"
Part = TypeVar("Part", bound=ConfigModel)


@dataclass(frozen=True)
class Names:
    """Marks the type of a key whose text names something outside of the recipe's section."""

    what: Literal["model", "reward_model", "data", "file", "function"]


ModelName = Annotated[str, Names("model")]
"""A causal language model: "base" (the recipe's [model]), one of [models.NAME], or an earlier stage's finished model."""
RewardModelName = Annotated[str, Names("reward_model")]
"""A sequence classifier: one of [models.NAME], or an earlier stage's."""
DataSource = Annotated[str, Names("data"), Field(min_length=1)]
"""A file, a data set folder or a hub name; or "stage:NAME", all rows that an earlier stage made, or "stage:NAME/FILE"."""
FileName = Annotated[str, Names("file"), Field(min_length=1)]
"""A file that is read as it is, for example a template."""
FunctionPath = Annotated[str, Names("function")]
""" "package.module:function" or "file.py:function"."""

DataSources = Annotated[
    tuple[DataSource, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    Field(min_length=1),
]
"""Several sources, read one after the other; one alone needs no list."""


class Reference(NamedTuple):
    """One name in a part of a recipe: the keys that lead to it, what it names, and the name."""

    location: tuple[int | str, ...]
    what: str
    name: str

    @property
    def key(self) -> str:
        """The location with dots: "data.train.0"."""
        return ".".join(map(str, self.location))

    @property
    def stage(self) -> str | None:
        """The stage that a data source names; None for a source outside of the run."""
        return stage_of_source(self.name) if self.what == "data" else None


def stage_of_source(source: str) -> str | None:
    """Return which stage a data source names; None for a file, folder or hub name."""
    return source.removeprefix(STAGE_PREFIX).partition("/")[0] if source.startswith(STAGE_PREFIX) else None


def references(config: ConfigModel) -> Iterator[Reference]:
    """Yield every name that a part of a recipe holds, in the order of its keys."""
    for name, field in type(config).model_fields.items():
        annotation: Any = field.annotation
        for mark in field.metadata:
            if isinstance(mark, Names):
                annotation = Annotated[annotation, mark]  # pydantic takes the outermost marks off the type
        for reference in _found(annotation, getattr(config, name)):
            yield reference._replace(location=(name, *reference.location))


def _found(annotation: Any, value: Any) -> Iterator[Reference]:
    if isinstance(value, ConfigModel):
        yield from references(value)
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            for reference in _found(_inner(annotation), item):
                yield reference._replace(location=(index, *reference.location))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            for reference in _found(_inner(annotation), item):
                yield reference._replace(location=(str(key), *reference.location))
    elif isinstance(value, str) and (what := _named(annotation)) is not None:
        yield Reference((), what, value)


def _inner(annotation: Any) -> Any:
    """Return the type of what a list or table of this type holds: the last type argument that is not an ellipsis."""
    if get_origin(annotation) is Annotated or _is_optional(annotation):
        return _inner(next(arg for arg in get_args(annotation) if arg is not NoneType))
    inner = [arg for arg in get_args(annotation) if arg is not Ellipsis]
    return inner[-1] if inner else Any


def _is_optional(annotation: Any) -> bool:
    return NoneType in get_args(annotation)


def _named(annotation: Any) -> str | None:
    """Return what text of this type names, None if it names nothing."""
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        return next((mark.what for mark in marks if isinstance(mark, Names)), None) or _named(inner)
    if get_origin(annotation) is Literal:
        return None
    return next(filter(None, map(_named, get_args(annotation))), None)


def replace_sources(part: Part, files: Callable[[str], Sequence[str]]) -> Part:
    """Return the part with every "stage:NAME" replaced by the files that `files` returns for it.

    In a list of sources each becomes as many entries as it has files.

    Raises:
        ValueError: a key that holds one source names a stage that made several files; the message names the key.
    """
    found = [reference for reference in references(part) if reference.stage is not None]
    changed: Any = part
    for reference in reversed(found):  # later entries of a list first: those before keep their places
        changed = _replaced(changed, reference.location, tuple(files(reference.name)), reference)
    return changed


def _replaced(value: Any, location: Sequence[int | str], files: tuple[str, ...], reference: Reference) -> Any:
    key, *rest = location
    if isinstance(value, ConfigModel):
        inner = getattr(value, str(key))
        new = _replaced(inner, rest, files, reference) if rest else _only(files, reference)
        return value.model_copy(update={str(key): new})
    if isinstance(value, Mapping):
        new = _replaced(value[str(key)], rest, files, reference) if rest else _only(files, reference)
        return {**value, str(key): new}
    index = int(key)
    new = (_replaced(value[index], rest, files, reference),) if rest else files
    return (*value[:index], *new, *value[index + 1 :])


def _only(files: tuple[str, ...], reference: Reference) -> str:
    if len(files) != 1:
        names = ", ".join(file.rpartition("/")[2] for file in files)
        raise ValueError(
            f'{reference.key} takes one file, and "{reference.name}" has {len(files)} ({names}); name one, for example '
            f'"{reference.name}/{files[0].rpartition("/")[2]}"'
        )
    return files[0]
