"""What the stages of a recipe feed each other: which names there are, and which of them a stage may use.

A stage may use what comes before it, so that the order of a recipe is an order in which it can be run. Called when a recipe is
validated, and by whoever follows the chain.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from dunwu.config.base import ConfigModel
from dunwu.config.references import STAGE_PREFIX, Product, Reference, references
from dunwu.config.training import ModelConfig

BASE = "base"
"""The name of the recipe's [model]."""
Fault = tuple[tuple[int | str, ...], str]
"""Where in a recipe something is wrong, and a sentence about it."""
_CALLED: dict[Product, str] = {
    "model": "a language model",
    "reward_model": "a reward model",
    "data": "data",
}


class RecipeFaultsError(ValueError):
    """Several mistakes, each with its place, that only the whole recipe shows."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, place))}: {text}" for place, text in faults))
        self.faults = tuple(faults)


class ChainStage(Protocol):
    """What the chain knows of a stage's configuration, whatever its kind."""

    @property
    def name(self) -> str: ...

    @property
    def makes(self) -> frozenset[Product]: ...


def stage_references(stage: Any) -> list[Reference]:
    """Return the names in a stage that mean models of the recipe or earlier stages, in the order of its keys."""
    assert isinstance(stage, ConfigModel)
    return [
        reference
        for reference in references(stage)
        if reference.what in ("model", "reward_model") or reference.stage is not None
    ]


def upstream(stage: Any, stages: Iterable[Any]) -> list[str]:
    """Return the stages, of those given, that a stage reads from directly, each once."""
    names = {other.name for other in stages}
    found = [reference.stage or reference.name for reference in stage_references(stage)]
    return [name for name in dict.fromkeys(found) if name in names]


def downstream(name: str, stages: Sequence[Any]) -> list[str]:
    """Return the stages that depend on a stage, directly or through others, in the recipe's order."""
    touched = {name}
    for stage in stages:
        if touched & set(upstream(stage, stages)):
            touched.add(stage.name)
    return [stage.name for stage in stages if stage.name in touched and stage.name != name]


def first_model(stage: Any, models: Mapping[str, ModelConfig], stages: Sequence[Any]) -> ModelConfig:
    """Return the model at the beginning of the chain of models that ends with a stage's start."""
    return first_model_of(getattr(stage, "start", BASE), models, stages)


def first_model_of(name: str, models: Mapping[str, ModelConfig], stages: Sequence[Any]) -> ModelConfig:
    """Return the model at the beginning of the chain of models that a name ends; the name of a model means that model."""
    by_name = {other.name: other for other in stages}
    while name in by_name:
        name = getattr(by_name[name], "start", BASE)
    return models[name]


def chain_faults(models: Mapping[str, ModelConfig], stages: Sequence[ChainStage]) -> list[Fault]:
    """List what is wrong with the names that stages have and use.

    Args:
        models: the recipe's models with "base" among them.
    """
    faults = list(_name_faults(models, stages))
    for index, stage in enumerate(stages):
        for reference in stage_references(stage):
            sentence = _fault(reference, index, models, stages)
            if sentence is not None:
                faults.append((("stages", index, *reference.location), sentence))
    return faults


def _name_faults(models: Mapping[str, ModelConfig], stages: Sequence[ChainStage]) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, stage in enumerate(stages):
        if stage.name in seen:
            yield ("stages", index, "name"), "two stages have the same name; give each its own `name`"
        elif stage.name in models:
            whose = "[model]" if stage.name == BASE else f"[models.{stage.name}]"
            yield ("stages", index, "name"), f"is the name of {whose} already; give the stage another `name`"
        seen.add(stage.name)


def _fault(
    reference: Reference, index: int, models: Mapping[str, ModelConfig], stages: Sequence[ChainStage]
) -> str | None:
    """Say what is wrong with one name in the stage at `index`, None if it can be used."""
    of_stage = reference.stage is not None
    wanted: Product = "data" if of_stage else reference.what  # type: ignore[assignment]  # see stage_references
    name = reference.stage or reference.name
    if not of_stage and name in models:
        return None
    valid = [] if of_stage else list(models)
    valid += [stage.name for stage in stages[:index] if wanted in stage.makes]
    if name in valid:
        return _file_fault(reference, stages) if of_stage else None
    position = next((i for i, stage in enumerate(stages) if stage.name == name), None)
    if position is None:
        what = "names no stage" if of_stage else "names neither a model nor a stage"
    elif position == index:
        what = "is the stage itself, which cannot wait for its own result"
    elif wanted not in stages[position].makes:
        makes = " and ".join(_CALLED[product] for product in sorted(stages[position].makes)) or "neither"
        what = f"makes {makes}, and {_CALLED[wanted]} is needed here"
    elif stages[index].name in _all_upstream(stages[position], stages):
        what = f"waits for {stages[index].name}, which waits for it: they could never begin; untie the two"
    else:
        what = f"comes after {stages[index].name}; put it before, for a stage can use what earlier ones made"
    return what + _guess(name, valid, STAGE_PREFIX if of_stage else "")


def _file_fault(reference: Reference, stages: Sequence[Any]) -> str | None:
    """Say what is wrong with the file that "stage:NAME/FILE" names, or with naming none where one is needed."""
    (maker,) = (stage for stage in stages if stage.name == reference.stage)
    files, file = maker.data_files, reference.name.partition("/")[2]
    named = [f"{STAGE_PREFIX}{maker.name}/{name}" for name in files]
    if file:
        if file in files:
            return None
        return "names a file that the stage does not make" + _guess(reference.name, named, "")
    takes_many = isinstance(reference.location[-1], int)
    if takes_many or len(files) == 1:
        return None
    return f"means {len(files)} files, and one is needed here; name one: {', '.join(named)}"


def _all_upstream(stage: Any, stages: Sequence[Any]) -> set[str]:
    by_name = {other.name: other for other in stages}
    found: set[str] = set()
    waiting = [stage]
    while waiting:
        for name in upstream(waiting.pop(), stages):
            if name not in found:
                found.add(name)
                waiting.append(by_name[name])
    return found


def _guess(name: str, valid: Sequence[str], prefix: str) -> str:
    if not valid:
        return "; nothing that could be named here comes before it"
    near = difflib.get_close_matches(name, valid, n=1, cutoff=0.6)
    if near:
        return f'; did you mean "{prefix}{near[0]}"?'
    return f"; allowed here: {', '.join(prefix + entry for entry in valid)}"
