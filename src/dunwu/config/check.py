"""What a valid recipe still gets wrong on this machine: files that are not there, sizes that cannot work
together.

Looks at names, file systems and JSON, and at reward functions of the user's own in processes of their own, so that
mistakes are told before weights load; imports no torch. Called by the command line before a run starts.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

from dunwu.config.chain import BASE, first_model_of
from dunwu.config.cold_start import ColdStartStage
from dunwu.config.comparison import ComparisonStage, PairwiseJudge
from dunwu.config.comparison_checks import comparison_problems
from dunwu.config.functions import FUNCTION_ARGUMENTS, function_fault
from dunwu.config.keys import nearest
from dunwu.config.on_policy import OnPolicyConfig
from dunwu.config.on_policy_distill import OnPolicyDistillStage
from dunwu.config.part_checks import (
    Missing,
    asked_problems,
    evaluation_problems,
    file_problems,
    is_hub_name,
    length_problems,
    task_problems,
)
from dunwu.config.preference_checks import preference_data_problems, reward_model_problems
from dunwu.config.preference_data import PreferenceDataStage
from dunwu.config.recipe import Recipe
from dunwu.config.references import references
from dunwu.config.rejection_sampling import RejectionSamplingStage
from dunwu.config.reward import FunctionReward, RewardConfig
from dunwu.config.reward_model import RewardModelStage
from dunwu.config.sampled_data import SampledDataConfig
from dunwu.config.sft import SftChatTemplate, SftConfig
from dunwu.config.stage import Stage
from dunwu.config.task import ChatTemplate, FileTask, GeneralWorldKind, ReasoningGymTask, WorldTask
from dunwu.config.tracking import missing_trackers
from dunwu.config.training import ModelConfig
from dunwu.errors import ConfigError

SHIPPED_MODELS = ("micro", "nano")
BUILT_IN_MODELS = (*SHIPPED_MODELS, "smollm2")


class Problems(NamedTuple):
    """What keeps a recipe from running here: what is wrong in it, and what it names that is not here."""

    mistakes: tuple[str, ...]
    missing: tuple[str, ...]


def check_recipe(recipe: Recipe) -> None:
    """Refuse a recipe that cannot run here.

    Raises:
        ConfigError: the message lists every mistake with its key, its value and what to do.
    """
    problems = recipe_problems(recipe)
    require_none([*problems.mistakes, *problems.missing])


def require_none(problems: Sequence[str]) -> None:
    """Refuse to go on with problems.

    Raises:
        ConfigError: there are some; the message lists them.
    """
    if problems:
        count = "This cannot run" if len(problems) == 1 else f"{len(problems)} things cannot run"
        raise ConfigError(f"{count}:\n\n" + "\n\n".join(f"  {problem}" for problem in problems))


def recipe_problems(recipe: Recipe) -> Problems:
    """List what keeps a valid recipe from running here, each with its key."""
    found = list(_all_problems(recipe))
    return Problems(
        tuple(problem for problem in found if not isinstance(problem, Missing)),
        tuple(str(problem) for problem in found if isinstance(problem, Missing)),
    )


def _all_problems(recipe: Recipe) -> Iterator[str]:
    yield from map(Missing, missing_trackers(recipe.trackers))
    for name, model in recipe.all_models.items():
        key = "model" if name == BASE else f"models.{name}"
        for problem in model_problems(model.path):
            yield f"{key}.path: {problem}"
    against = recipe.decontamination.against if recipe.decontamination else ()
    for index, file in enumerate(against):
        yield from file_problems(f"decontamination.against.{index}.source", file.source)
    for stage in recipe.stages:
        for problem in (
            *stage_problems(stage, model_settings(recipe.first_model(stage).path)),
            *own_template_problems(stage, recipe.all_models.get(getattr(stage, "start", BASE))),
            *teacher_problems(stage, recipe),
            *scorer_problems(stage, recipe),
            *(
                comparison_problems(stage, recipe, has_chat_template)
                if isinstance(stage, ComparisonStage)
                else ()
            ),
        ):
            kind = Missing if isinstance(problem, Missing) else str
            yield kind(f"stages.{stage.name}.{problem}")


def scorer_problems(stage: Stage, recipe: Recipe) -> Iterator[str]:
    """Say which models that are to score responses are no reward models, as far as their config.json tells."""
    for reference in references(stage):
        model = recipe.all_models.get(reference.name) if reference.what == "reward_model" else None
        architectures = model_settings(model.path).get("architectures") if model is not None else None
        if architectures and not any("SequenceClassification" in str(name) for name in architectures):
            yield (
                f"{reference.key}: {reference.name} is a {architectures[0]}, and a reward model is a sequence classifier; name a "
                "stage of the kind reward_model, or give another folder"
            )


def teacher_problems(stage: Stage, recipe: Recipe) -> Iterator[str]:
    """Say if the model files already tell that a student and its teacher have different vocabularies."""
    if not isinstance(stage, OnPolicyDistillStage):
        return
    chains = [
        first_model_of(name, recipe.all_models, recipe.stages).path for name in (stage.start, stage.teacher)
    ]
    student, teacher = (_vocabulary(path) for path in chains)
    adds_tokens = any(getattr(other, "new_tokens", ()) for other in recipe.stages)
    if student is None or teacher is None or student == teacher or adds_tokens:
        return  # the stage itself compares the tokenizers as they are by then
    yield (
        f"teacher: {stage.teacher} goes back to {chains[1]}, whose vocabulary is another than that of {chains[0]}, which the "
        'student goes back to; name a teacher of the student\'s own family, or use the stage "distill", which learns from text'
    )


def _vocabulary(path: str) -> dict[str, int] | None:
    """Read which text each token id means from a model's tokenizer.json; None where that does not tell."""
    folder = model_folder(path)
    try:
        tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")) if folder else {}
        vocabulary = tokenizer["model"]["vocab"]
        added = {token["content"]: token["id"] for token in tokenizer.get("added_tokens", ())}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {**vocabulary, **added} if isinstance(vocabulary, dict) else None


def own_template_problems(stage: Stage, model: ModelConfig | None) -> Iterator[str]:
    """Say if a stage uses the chat template of a model that has none.

    Args:
        model: what the stage starts from; None for a model that an earlier stage is yet to make.
    """
    if model is None or isinstance(stage, ComparisonStage | RewardModelStage):
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
            f"there is no model {path}; {guess}give {', '.join(BUILT_IN_MODELS)}, a Hugging Face folder, "
            "or a hub name like owner/model"
        )
    elif not (folder / "config.json").is_file():
        yield f"{path} is not a Hugging Face model folder: it has no config.json"


def model_folder(path: str) -> Path | None:
    """Return the folder in which the model is looked for; None for one that is fetched: `smollm2` and hub
    names."""
    if path in SHIPPED_MODELS:
        return Path(__file__).parents[1] / "assets" / path
    folder = Path(path).expanduser()
    return None if path == "smollm2" or (not folder.exists() and is_hub_name(path)) else folder


def model_settings(path: str) -> dict[str, Any]:
    """Read a model's config.json; empty where it is not on this machine or unreadable."""
    folder = model_folder(path)
    try:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8")) if folder else {}
    except (OSError, ValueError):
        return {}
    return settings if isinstance(settings, dict) else {}


def has_chat_template(path: str) -> bool | None:
    """Whether a model has a chat template; None where it is not on this machine, or unreadable."""
    folder = model_folder(path)
    if folder is None:
        return None
    if (folder / "chat_template.jinja").is_file():
        return True
    try:
        return bool(
            json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get("chat_template")
        )
    except (OSError, ValueError):
        return None


def chat_template_problems(path: str, advice: str) -> Iterator[str]:
    """Say if a model folder has no chat template although the recipe uses it."""
    if has_chat_template(path) is False:
        yield f'template.kind is "chat", and the model {path} has no chat template; {advice}'


def stage_problems(stage: Stage, settings: dict[str, Any]) -> Iterator[str]:
    """Say what in a stage cannot work, each with its key below the stage."""
    match stage:
        case SftConfig():
            yield from sft_problems(stage)
        case OnPolicyConfig():
            yield from rl_problems(stage, settings)
        case SampledDataConfig():
            yield from sampled_data_problems(stage, settings)
        case PreferenceDataStage():
            yield from preference_data_problems(stage, settings)
        case RewardModelStage():
            yield from reward_model_problems(stage)
        case ComparisonStage():
            yield from task_problems(stage.task)
            yield from length_problems("sampling", stage.sampling, stage.engine, settings)
            if isinstance(stage.general_judge, PairwiseJudge):
                yield from asked_problems("general_judge.by", stage.general_judge.by)


def sft_problems(stage: SftConfig) -> Iterator[str]:
    """Say which files of a fine-tuning stage are not there, and what in it cannot work."""
    for key, names in (("train", stage.data.train), ("held_out", stage.data.held_out or ())):
        for name in names:
            yield from file_problems(f"data.{key}", name)
    file = stage.template.file if isinstance(stage.template, SftChatTemplate) else None
    if file is not None and not Path(file).expanduser().is_file():
        yield Missing(f"template.file: there is no file {file} (seen from {Path.cwd()})")
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
            yield from file_problems(f"joined.{index}.sources", name)
    if stage.few_shot is not None:
        if not Path(stage.few_shot).expanduser().is_file():
            yield Missing(f"few_shot: there is no file {stage.few_shot} (seen from {Path.cwd()})")
        elif not Path(stage.few_shot).expanduser().read_bytes().strip():
            yield f"few_shot: {stage.few_shot} is empty; write worked examples into it, or leave it out"
    yield from length_problems("sampling", stage.sampling, stage.engine, settings)
    trains = getattr(stage.task, "num_train", None)
    if trains is not None and stage.num_prompts is not None and stage.num_prompts > trains:
        yield f"num_prompts is {stage.num_prompts}, and the task has {trains} (task.num_train); raise it, or lower num_prompts"
    if isinstance(stage, ColdStartStage):
        yield from asked_problems("rewriter", stage.rewriter)
    if isinstance(stage, RejectionSamplingStage) and stage.judge is not None:
        yield from asked_problems("judge.by", stage.judge.by)


def rl_problems(stage: OnPolicyConfig, settings: dict[str, Any]) -> Iterator[str]:
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
    yield from length_problems("sampling", stage.sampling, stage.engine, settings)
    if stage.evaluation.sampling is not None:
        yield from length_problems("evaluation.sampling", stage.evaluation.sampling, stage.engine, settings)
    yield from general_problems(stage)
    longest = stage.sampling.max_new_tokens
    if stage.batch.micro_batch_tokens <= longest:
        yield (
            f"batch.micro_batch_tokens is {stage.batch.micro_batch_tokens}, less than one prompt with "
            f"sampling.max_new_tokens = {longest}; raise it, or lower sampling.max_new_tokens"
        )


def general_problems(stage: OnPolicyConfig) -> Iterator[str]:
    """Say what in the general prompts of a stage cannot work."""
    general = stage.general_prompts
    if general is None:
        return
    for problem in task_problems(general.task):
        yield (Missing if isinstance(problem, Missing) else str)(f"general.{problem}")
    counted = not (isinstance(general.task, FileTask) and general.task.held_out is not None)
    if counted and 0 < general.task.num_held_out < general.num_problems:
        yield (
            f"general.num_problems is {general.num_problems}, and the task holds out {general.task.num_held_out} "
            "(general.task.num_held_out); lower the one or raise the other"
        )
    if isinstance(general.task, WorldTask) and (
        graded := sorted({*general.task.kinds} - {*get_args(GeneralWorldKind)})
    ):
        yield (
            f"general.task.kinds has {', '.join(graded)}, which a rule can grade; put them into task, and choose here from "
            f"{', '.join(get_args(GeneralWorldKind))}"
        )
    if (
        isinstance(general.task, FileTask)
        and general.task.task_column is None
        and general.task.preference_set is None
    ):
        yield (
            'general.task.grader is "'
            f'{general.task.grader}", a rule; use "preference" with preference_set = "helpful" or "safety", or a task_column'
        )
    if isinstance(general.task, ReasoningGymTask):
        yield "general.task is a reasoning_gym task, which a rule can grade; put it into task, and general prompts here"


def reward_problems(rewards: Sequence[RewardConfig]) -> Iterator[str]:
    """Say which functions of the user's own cannot be called; each is imported in a process of its own."""
    for reward in rewards:
        if isinstance(reward, FunctionReward):
            fault = function_fault(reward.path, FUNCTION_ARGUMENTS, reward.params)
            if fault is not None:
                yield f"rewards.{reward.part_name}.path: {fault}"
