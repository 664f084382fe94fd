"""What a valid recipe still gets wrong on this machine: files that are not there, sizes that cannot work
together.

Looks at names, file systems and JSON, and at reward functions of the user's own in processes of their own, so that
mistakes are told before weights load; imports no torch. Called by the command line before a run starts.
"""

import importlib.util
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dunwu.config.asking import Asked, AskedEndpoint
from dunwu.config.base import ConfigModel
from dunwu.config.chain import BASE
from dunwu.config.cold_start import ColdStartStage
from dunwu.config.functions import FUNCTION_ARGUMENTS, function_fault
from dunwu.config.keys import nearest
from dunwu.config.recipe import Recipe
from dunwu.config.references import stage_of_source
from dunwu.config.rejection_sampling import RejectionSamplingStage
from dunwu.config.reward import FunctionReward, RewardConfig
from dunwu.config.sampled_data import SampledDataConfig
from dunwu.config.sft import SftChatTemplate, SftStage
from dunwu.config.stage import RlConfig, Stage
from dunwu.config.task import ChatTemplate, FileTask, ReasoningGymTask, Task
from dunwu.config.training import EvaluationConfig, ModelConfig, SamplingConfig
from dunwu.errors import ConfigError

BUILT_IN_MODELS = ("micro", "smollm2")
_DATA_SUFFIXES = (".jsonl", ".json", ".parquet")


def check_recipe(recipe: Recipe) -> None:
    """Refuse a recipe that cannot run here.

    Raises:
        ConfigError: the message lists every mistake with its key, its value and what to do.
    """
    mistakes = []
    for name, model in recipe.all_models.items():
        key = "model" if name == BASE else f"models.{name}"
        mistakes += [f"{key}.path: {problem}" for problem in model_problems(model.path)]
    against = recipe.decontamination.against if recipe.decontamination else ()
    for index, file in enumerate(against):
        mistakes += _file_problems(f"decontamination.against.{index}.source", file.source)
    for stage in recipe.stages:
        problems = [
            *stage_problems(stage, model_settings(recipe.first_model(stage).path)),
            *own_template_problems(stage, recipe.all_models.get(stage.start)),
        ]
        mistakes += [f"stages.{stage.name}.{problem}" for problem in problems]
    if mistakes:
        count = "This cannot run" if len(mistakes) == 1 else f"{len(mistakes)} things cannot run"
        raise ConfigError(f"{count}:\n\n" + "\n\n".join(f"  {mistake}" for mistake in mistakes))


def own_template_problems(stage: Stage, model: ModelConfig | None) -> Iterator[str]:
    """Say if a stage uses the chat template of a model that has none.

    Args:
        model: what the stage starts from; None for a model that an earlier stage is yet to make.
    """
    if model is None:
        return
    if isinstance(stage.template, ChatTemplate):
        yield from chat_template_problems(model.path, 'use "r1_zero" or "plain"')
    if isinstance(stage.template, SftChatTemplate) and stage.template.file is None:
        advice = 'use "r1", "r1_zero" or "plain", or give template.file'
        yield from chat_template_problems(model.path, advice)


def model_problems(path: str) -> Iterator[str]:
    """Say what is wrong with a model's name or folder, as far as names and folders tell."""
    folder = model_folder(path)
    if folder is None:
        return
    if not folder.exists():
        near = nearest(path, BUILT_IN_MODELS)
        guess = f"did you mean {near}? Otherwise " if near else ""
        yield (
            f"there is no model {path}; {guess}give {' or '.join(BUILT_IN_MODELS)}, a Hugging Face folder, "
            "or a hub name like owner/model"
        )
    elif not (folder / "config.json").is_file():
        yield f"{path} is not a Hugging Face model folder: it has no config.json"


def model_folder(path: str) -> Path | None:
    """Return the folder in which the model is looked for; None for one that is fetched: `smollm2` and hub
    names."""
    if path == "micro":
        return Path(__file__).parents[1] / "assets" / "micro"
    folder = Path(path).expanduser()
    return None if path == "smollm2" or (not folder.exists() and _is_hub_name(path)) else folder


def model_settings(path: str) -> dict[str, Any]:
    """Read a model's config.json; empty where it is not on this machine or unreadable."""
    folder = model_folder(path)
    try:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8")) if folder else {}
    except (OSError, ValueError):
        return {}
    return settings if isinstance(settings, dict) else {}


def chat_template_problems(path: str, advice: str) -> Iterator[str]:
    """Say if a model folder has no chat template although the recipe uses it."""
    folder = model_folder(path)
    if folder is None or (folder / "chat_template.jinja").is_file():
        return
    try:
        tokenizer = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if not tokenizer.get("chat_template"):
        yield f'template.kind is "chat", and the model {path} has no chat template; {advice}'


def stage_problems(stage: Stage, settings: dict[str, Any]) -> Iterator[str]:
    """Say what in a stage cannot work, each with its key below the stage."""
    match stage:
        case SftStage():
            yield from sft_problems(stage)
        case RlConfig():
            yield from rl_problems(stage, settings)
        case SampledDataConfig():
            yield from sampled_data_problems(stage, settings)


def sft_problems(stage: SftStage) -> Iterator[str]:
    """Say which files of a fine-tuning stage are not there, and what in it cannot work."""
    for key, names in (("train", stage.data.train), ("held_out", stage.data.held_out or ())):
        for name in names:
            yield from _file_problems(f"data.{key}", name)
    file = stage.template.file if isinstance(stage.template, SftChatTemplate) else None
    if file is not None and not Path(file).expanduser().is_file():
        yield f"template.file: there is no file {file} (seen from {Path.cwd()})"
    warmup = stage.optimizer.schedule.warmup_steps
    if stage.max_steps is not None and warmup >= stage.max_steps:
        yield (
            f"optimizer.schedule.warmup_steps is {warmup}, and the stage has at most {stage.max_steps} steps: the "
            f"learning rate would never reach its peak; use at most {stage.max_steps - 1}"
        )


def sampled_data_problems(stage: SampledDataConfig, settings: dict[str, Any]) -> Iterator[str]:
    """Say what in a stage that makes data by sampling cannot work."""
    yield from task_problems(stage.task, evaluates=False)
    for index, part in enumerate(stage.joined):
        for name in part.sources:
            yield from _file_problems(f"joined.{index}.sources", name)
    if stage.few_shot is not None:
        if not Path(stage.few_shot).expanduser().is_file():
            yield f"few_shot: there is no file {stage.few_shot} (seen from {Path.cwd()})"
        elif not Path(stage.few_shot).expanduser().read_bytes().strip():
            yield f"few_shot: {stage.few_shot} is empty; write worked examples into it, or leave it out"
    yield from _length_problems("sampling", stage.sampling, stage, settings)
    trains = getattr(stage.task, "num_train", None)
    if trains is not None and stage.num_prompts is not None and stage.num_prompts > trains:
        yield f"num_prompts is {stage.num_prompts}, and the task has {trains} (task.num_train); raise it, or lower num_prompts"
    if isinstance(stage, ColdStartStage):
        yield from asked_problems("rewriter", stage.rewriter)
    if isinstance(stage, RejectionSamplingStage) and stage.judge is not None:
        yield from asked_problems("judge.by", stage.judge.by)


def asked_problems(key: str, asked: Asked | ConfigModel) -> Iterator[str]:
    """Say if the key of a service is not there."""
    if not isinstance(asked, AskedEndpoint) or asked.api_key_env is None:
        return
    if not os.environ.get(asked.api_key_env, "").strip():
        yield (
            f"{key}.api_key_env names the environment variable {asked.api_key_env}, which is not set; set it to the key "
            f"of {asked.base_url}, or leave api_key_env out"
        )


def rl_problems(stage: RlConfig, settings: dict[str, Any]) -> Iterator[str]:
    """Say what in a reinforcement-learning stage cannot work."""
    yield from task_problems(stage.task)
    yield from reward_problems(stage.rewards)
    yield from evaluation_problems(stage.evaluation, stage.sampling, stage.task)
    warmup = stage.optimizer.schedule.warmup_steps
    if warmup >= stage.num_steps:
        yield (
            f"optimizer.schedule.warmup_steps is {warmup}, and the stage has {stage.num_steps} steps: the "
            f"learning rate would never reach its peak; use at most {stage.num_steps - 1}"
        )
    yield from _length_problems("sampling", stage.sampling, stage, settings)
    if stage.evaluation.sampling is not None:
        yield from _length_problems("evaluation.sampling", stage.evaluation.sampling, stage, settings)
    longest = stage.sampling.max_new_tokens
    if stage.batch.micro_batch_tokens <= longest:
        yield (
            f"batch.micro_batch_tokens is {stage.batch.micro_batch_tokens}, less than one prompt with "
            f"sampling.max_new_tokens = {longest}; raise it, or lower sampling.max_new_tokens"
        )


def _length_problems(
    key: str, sampling: SamplingConfig, stage: RlConfig | SampledDataConfig, settings: dict[str, Any]
) -> Iterator[str]:
    longest = sampling.max_new_tokens
    if stage.engine.cache_tokens is not None and stage.engine.cache_tokens <= longest:
        yield (
            f"engine.cache_tokens is {stage.engine.cache_tokens}, less than one prompt with "
            f"{key}.max_new_tokens = {longest}; raise it, or leave it out"
        )
    positions = settings.get("max_position_embeddings")
    if isinstance(positions, int) and longest >= positions:
        yield (
            f"{key}.max_new_tokens is {longest}, and the model has {positions} positions for prompt and "
            f"completion together; use less than {positions}"
        )


def task_problems(task: Task, *, evaluates: bool = True) -> Iterator[str]:
    """Say which files or packages of a task are not there."""
    if isinstance(task, ReasoningGymTask) and importlib.util.find_spec("reasoning_gym") is None:
        yield 'task.kind is "reasoning_gym", and that package is not installed; pip install "dunwu[tasks]"'
    if isinstance(task, FileTask):
        for key, name in (("train", task.train), ("held_out", task.held_out)):
            if name is not None:
                yield from _file_problems(f"task.{key}", name)
        if evaluates and task.held_out is None and task.num_held_out == 0:
            yield (
                "task.num_held_out is 0 and task.held_out is not given: there would be nothing to evaluate "
                "on; give one"
            )


def reward_problems(rewards: Sequence[RewardConfig]) -> Iterator[str]:
    """Say which functions of the user's own cannot be called; each is imported in a process of its own."""
    for reward in rewards:
        if isinstance(reward, FunctionReward):
            fault = function_fault(reward.path, FUNCTION_ARGUMENTS, reward.params)
            if fault is not None:
                yield f"rewards.{reward.part_name}.path: {fault}"


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


def _file_problems(key: str, name: str) -> Iterator[str]:
    path = Path(name).expanduser()
    if stage_of_source(name) is not None:
        return  # made by an earlier stage, which the recipe itself has checked
    if path.exists() or (path.suffix not in _DATA_SUFFIXES and _is_hub_name(name)):
        return
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    near = nearest(path.name, beside)
    guess = f"; did you mean {path.parent / near}?" if near else f" (seen from {Path.cwd()})"
    yield f"{key}: there is no file {name}{guess}"


def _is_hub_name(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 2 and all(parts) and not name.startswith((".", "~", "/"))
