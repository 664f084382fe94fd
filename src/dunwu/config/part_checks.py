"""What parts of a stage get wrong on this machine: tasks, samplings, models that are asked, files.

Called by `config.check` and by the checks of single kinds of stage.
"""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dunwu.config.asking import Asked, AskedEndpoint
from dunwu.config.base import ConfigModel
from dunwu.config.keys import nearest
from dunwu.config.references import stage_of_source
from dunwu.config.task import FileTask, ReasoningGymTask, Task
from dunwu.config.training import EngineConfig, EvaluationConfig, SamplingConfig

_DATA_SUFFIXES = (".jsonl", ".json", ".parquet")


class Missing(str):
    """A problem of this machine alone: something that the recipe names is not here, and can be put here."""

    __slots__ = ()


def task_problems(task: Task, *, evaluates: bool = True) -> Iterator[str]:
    """Say which files or packages of a task are not there."""
    if isinstance(task, ReasoningGymTask) and importlib.util.find_spec("reasoning_gym") is None:
        yield Missing(
            'task.kind is "reasoning_gym", and that package is not installed; pip install "dunwu[tasks]"'
        )
    if isinstance(task, FileTask):
        for key, name in (("train", task.train), ("held_out", task.held_out)):
            if name is not None:
                yield from file_problems(f"task.{key}", name)
        if evaluates and task.held_out is None and task.num_held_out == 0:
            yield (
                "task.num_held_out is 0 and task.held_out is not given: there would be nothing to evaluate "
                "on; give one"
            )


def evaluation_problems(evaluation: EvaluationConfig, sampling: SamplingConfig, task: Task) -> Iterator[str]:
    """Say what in an evaluation cannot work."""
    counted = not (isinstance(task, FileTask) and task.held_out is not None)
    if counted and 0 < task.num_held_out < evaluation.num_problems:
        yield (
            f"evaluation.num_problems is {evaluation.num_problems}, and the task holds out "
            f"{task.num_held_out} (task.num_held_out); lower the one or raise the other"
        )
    used = evaluation.sampling or sampling
    if used.temperature == 0 and evaluation.samples_per_problem > 1:
        yield (
            f"evaluation.samples_per_problem is {evaluation.samples_per_problem}, and at temperature 0 they "
            "would all be the same; use 1, or a temperature above 0"
        )


def asked_problems(key: str, asked: Asked | ConfigModel) -> Iterator[str]:
    """Say if the key of a service is not there."""
    if not isinstance(asked, AskedEndpoint) or asked.api_key_env is None:
        return
    if not os.environ.get(asked.api_key_env, "").strip():
        yield Missing(
            f"{key}.api_key_env names the environment variable {asked.api_key_env}, which is not set; set it to the key "
            f"of {asked.base_url}, or leave api_key_env out"
        )


def length_problems(
    key: str, sampling: SamplingConfig, engine: EngineConfig, settings: dict[str, Any]
) -> Iterator[str]:
    """Say if a completion fits neither into the cache nor into the model."""
    longest = sampling.max_new_tokens
    if engine.cache_tokens is not None and engine.cache_tokens <= longest:
        yield (
            f"engine.cache_tokens is {engine.cache_tokens}, less than one prompt with "
            f"{key}.max_new_tokens = {longest}; raise it, or leave it out"
        )
    positions = settings.get("max_position_embeddings")
    if isinstance(positions, int) and longest >= positions:
        yield (
            f"{key}.max_new_tokens is {longest}, and the model has {positions} positions for prompt and "
            f"completion together; use less than {positions}"
        )


def file_problems(key: str, name: str) -> Iterator[str]:
    """Say if a file is not there; the files of a hub and of earlier stages cannot be looked for."""
    path = Path(name).expanduser()
    if stage_of_source(name) is not None:
        return  # made by an earlier stage, which the recipe itself has checked
    if path.exists() or (path.suffix not in _DATA_SUFFIXES and is_hub_name(name)):
        return
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    near = nearest(path.name, beside)
    guess = f"; did you mean {path.parent / near}?" if near else f" (seen from {Path.cwd()})"
    yield Missing(f"{key}: there is no file {name}{guess}")


def is_hub_name(name: str) -> bool:
    """Whether a name may mean something on a hub: owner/name."""
    parts = name.split("/")
    return len(parts) == 2 and all(parts) and not name.startswith((".", "~", "/"))
