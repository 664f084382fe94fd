"""What a stage reads, by content, and how that differs from what it read when it was made.

A name or path counts for nothing by itself: what counts is the content behind it, so that a file may move and a stage may be
renamed upstream. Called by the pipeline's planning and when a stage begins.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from dunwu.config.base import ConfigModel
from dunwu.config.comparison import ComparisonStage
from dunwu.config.dump import plain
from dunwu.config.references import STAGE_PREFIX, Reference, references
from dunwu.config.stage import Stage
from dunwu.errors import RunError
from dunwu.models.source import local_folder
from dunwu.pipeline.asking import asking_changes, asking_facts
from dunwu.runs.files import canonical_json
from dunwu.runs.folder import RunFolder
from dunwu.runs.hash_cache import HashCache
from dunwu.runs.manifest import differences

_STAGES: TypeAdapter[Any] = TypeAdapter(Stage)


@dataclass(frozen=True)
class Inputs:
    """What a stage reads now.

    Args:
        reads: as it goes into the stage's manifest: "recipe", "seed", "models" and "data", and of a comparison "asked". Content
            that only a hub has has the hash None; content that is not there yet has none.
        waits_for: the stages whose results are not there yet.
    """

    reads: Mapping[str, Any]
    waits_for: tuple[str, ...]


def read_inputs(stage: Stage, run: RunFolder, hashes: HashCache, anew: Collection[str] = ()) -> Inputs:
    """Find out what a stage reads now.

    Args:
        anew: stages whose present results do not count, for they will be made anew.
    """
    facts: dict[str, dict[str, Any]] = {"models": {}, "data": {}}
    waits_for: list[str] = []
    for reference in references(stage):
        is_model = reference.what in ("model", "reward_model")
        group, named = ("models", "name") if is_model else ("data", "source")
        maker = _maker(reference, run)
        if maker is not None and (maker in anew or not run.stage(maker).finished):
            waits_for.append(maker)
            content = {}
        elif maker is not None:
            content = _made_content(reference, maker, run)
        else:
            content = (
                _model_content(reference.name, run, hashes) if is_model else file_content(reference, hashes)
            )
        facts[group][reference.key] = {named: reference.name, **content}
    reads = {"recipe": plain(stage), "seed": run.recipe.seed, **facts}
    if isinstance(stage, ComparisonStage):
        reads["asked"] = asking_facts(stage, run.recipe)
    return Inputs(reads, tuple(dict.fromkeys(waits_for)))


def changes(recorded: Mapping[str, Any], inputs: Inputs, stage: Stage, *, absences: bool = True) -> list[str]:
    """List why a stage that read `recorded` would now be made differently, one line each; none: what is there holds.

    Args:
        absences: list files too that are no longer where they were read.
    Raises:
        RunError: `recorded` is not what a stage's manifest holds.
    """
    reads = inputs.reads
    try:
        lines = differences({"seed": recorded["seed"]}, {"seed": reads["seed"]})
        lines += _recipe_changes(recorded["recipe"], stage, {"result"})
        lines += _content_changes(recorded["models"], reads["models"], "name", absences)
        lines += _content_changes(recorded["data"], reads["data"], "source", absences)
        # a manifest that an older dunwu wrote does not say how models were asked
        return lines + asking_changes(recorded.get("asked", {}), reads.get("asked", {}))
    except (KeyError, TypeError) as error:
        raise RunError(
            f"the manifest of stage {stage.name} is damaged: what it says the stage read lacks something ({error!r}); restore it "
            "from a copy, or move the stage's folder away to begin it anew"
        ) from error


def rounding_changes(recorded: Mapping[str, Any], stage: Stage) -> list[str]:
    """List the changed keys that change how a stage's figures are rounded, and nothing else."""
    return _recipe_changes(recorded["recipe"], stage, {"rounding"})


def _maker(reference: Reference, run: RunFolder) -> str | None:
    """Return the stage whose result a name means, None if it means something outside of the run."""
    if reference.what in ("model", "reward_model"):
        return None if reference.name in run.recipe.all_models else reference.name
    return reference.stage


def _model_content(name: str, run: RunFolder, hashes: HashCache) -> dict[str, Any]:
    model = run.recipe.all_models[name]
    folder = local_folder(model.path)
    if folder is None:
        return {"dtype": model.dtype, "sha256": None, "hub": model.path}
    if not (folder / "config.json").is_file():
        return {"dtype": model.dtype}  # still to be fetched
    return {"dtype": model.dtype, "sha256": hashes.fingerprint(folder)}


def file_content(reference: Reference, hashes: HashCache) -> dict[str, Any]:
    """Return the content's hash of a file that a recipe names; None for what only a hub has."""
    place = reference.name.rpartition(":")[0] if reference.what == "function" else reference.name
    path = Path(place).expanduser()
    return {"sha256": hashes.fingerprint(path) if place and path.exists() else None}


def _made_content(reference: Reference, maker: str, run: RunFolder) -> dict[str, Any]:
    """One hash for what a finished stage made and a reference means: its model, its rows, or one file of them."""
    manifest = run.stage(maker).manifest
    assert manifest is not None, "only finished stages are asked"
    assert manifest.made is not None, "only finished stages are asked"
    if reference.stage is None:
        (stage,) = (stage for stage in run.recipe.stages if stage.name == maker)
        prefix, facts = "model/", {"dtype": run.recipe.first_model(stage).dtype}
    else:
        prefix, facts = f"data/{reference.name.removeprefix(STAGE_PREFIX).partition('/')[2]}", {}
    files = {path: file.sha256 for path, file in manifest.made.items() if path.startswith(prefix)}
    return {**facts, "sha256": sha256(canonical_json(files).encode()).hexdigest()}


def _recipe_changes(recorded: Any, stage: Stage, effects: set[str]) -> list[str]:
    try:
        before = _STAGES.validate_python(recorded)  # keys that came with a newer dunwu get their defaults
    except ValidationError:
        return differences(recorded, plain(stage)) if "result" in effects else []
    return differences(dict(_compared(before, effects)), dict(_compared(stage, effects)))


def _compared(stage: Stage, effects: set[str]) -> Iterator[tuple[str, Any]]:
    """Yield the keys of a stage that have one of the effects, with dots, but for its name and the names it reads."""
    by_content = {reference.key for reference in references(stage) if reference.what != "function"}
    effect_of = dict(_effects(stage))
    for key, value in _flat(plain(stage)):
        parts = key.split(".")
        above = (".".join(parts[:count]) for count in range(len(parts), -1, -1))
        effect = next(effect_of[path] for path in above if path in effect_of)
        if effect in effects and key not in by_content and key != "name":
            yield key, value


def _effects(part: Any, key: str = "") -> Iterator[tuple[str, Literal["result", "rounding", "none"]]]:
    """Yield the effect of every table in a part of a recipe, by its key with dots."""
    if isinstance(part, ConfigModel):
        yield key, part.effect
        for name in type(part).model_fields:
            yield from _effects(getattr(part, name), f"{key}.{name}".lstrip("."))
    elif isinstance(part, tuple | list):
        for index, inner in enumerate(part):
            yield from _effects(inner, f"{key}.{index}")


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what stands at the ends of nested tables and lists, by keys with dots; an empty list is as good as none."""
    if isinstance(value, Mapping):
        items: list[tuple[Any, Any]] = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        yield key, value
        return
    for name, inner in items:
        yield from _flat(inner, f"{key}.{name}".lstrip("."))


def _content_changes(
    recorded: Mapping[str, Any], now: Mapping[str, Any], name: Literal["name", "source"], absences: bool
) -> list[str]:
    lines = []
    for key in [*recorded, *(key for key in now if key not in recorded)]:
        if key not in now:
            lines.append(f"{key}: {recorded[key][name]} is no longer read")
        elif key not in recorded:
            lines.append(f"{key}: {now[key][name]} was not read before")
        else:
            lines += _one_content_change(key, recorded[key], now[key], name, absences)
    return lines


def _one_content_change(
    key: str,
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    name: Literal["name", "source"],
    absences: bool,
) -> list[str]:
    lines = (
        [f"{key}.dtype: was {before['dtype']}, is now {now['dtype']}"]
        if "dtype" in now and before.get("dtype") != now["dtype"]
        else []
    )
    if "sha256" not in now or (before["sha256"] == now["sha256"] and before["sha256"] is not None):
        return lines
    was, is_now = (facts.get("hub") or facts[name] for facts in (before, now))
    if was != is_now:
        return [*lines, f"{key}: was {was}, is now {is_now}, which has other content"]
    if before["sha256"] is None:
        return lines
    if now["sha256"] is None:
        return [*lines, f"{key}: {is_now} is not there (seen from {Path.cwd()})"] if absences else lines
    return [*lines, f"{key}: the content of {is_now} has changed"]
