"""What a recipe will do, and about how much memory it takes, worked out without loading a model.

The memory estimate counts weights, optimizer, cache, activations and logits by the architecture's sizes; it
knows nothing of allocators. Used by `dunwu run --dry-run`.
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dunwu.cli.comparison_plan import comparison_plan
from dunwu.cli.figures import size
from dunwu.cli.preference_plan import preference_data_plan, reward_model_plan
from dunwu.config.asking import AskedEndpoint, AskedModel
from dunwu.config.chain import first_model_of
from dunwu.config.cold_start import ColdStartStage
from dunwu.config.comparison import ComparisonStage
from dunwu.config.on_policy import OnPolicyConfig
from dunwu.config.on_policy_distill import OnPolicyDistillStage
from dunwu.config.preference_data import PreferenceDataStage
from dunwu.config.recipe import Recipe
from dunwu.config.rejection_sampling import RejectionSamplingStage
from dunwu.config.reward import PreferenceReward
from dunwu.config.reward_model import RewardModelStage
from dunwu.config.sampled_data import SampledDataConfig
from dunwu.config.sft import SftConfig
from dunwu.config.stage import GeneralRlStage, RlConfig, Stage
from dunwu.config.training import BatchConfig, ModelConfig
from dunwu.models.source import local_folder
from dunwu.training.rollout_plan import general_begin, num_prompts, rollout_counts, rollout_span

PROMPT_TOKENS = 128
"""Assumed length of a prompt; the tokenizer is not loaded for a plan."""
VOCAB_OF_A_CHUNK = 8192
"""functional.head_chunks.REFERENCE_VOCAB, without loading torch."""
PROCESS_BYTES = 700_000_000
"""Python with torch and transformers loaded, measured."""


@dataclass(frozen=True)
class StagePlan:
    """The amounts of one stage. A completion has at most `max_new_tokens` tokens."""

    name: str
    num_steps: int
    num_rollouts: int
    prompts_per_rollout: int
    completions_per_rollout: int
    num_completions: int
    max_new_tokens: int
    num_evaluations: int
    completions_per_evaluation: int
    num_checkpoints: int

    @property
    def max_tokens(self) -> int:
        """The most tokens that rollouts and evaluations can sample in all."""
        evaluated = self.num_evaluations * self.completions_per_evaluation
        return (self.num_completions + evaluated) * self.max_new_tokens


def plan_stage(stage: OnPolicyConfig) -> StagePlan:
    """Count what a reinforcement-learning stage does. Prompts of refilling rounds, which depend on the rewards,
    are not counted.
    """
    rollouts = [(sum(num_prompts(stage, span)), count) for span, count in rollout_counts(stage)]
    prompts = max(prompts for prompts, _ in rollouts)
    evaluation, general = stage.evaluation, stage.general_prompts
    every, begin = evaluation.every_steps, general_begin(stage)
    between = (stage.num_steps - 1) // every if every else 0
    if begin and (not every or begin % every):
        between += 1
    problems = evaluation.num_problems + (general.num_problems if general else 0)
    return StagePlan(
        name=stage.name,
        num_steps=stage.num_steps,
        num_rollouts=sum(count for _, count in rollouts),
        prompts_per_rollout=prompts,
        completions_per_rollout=prompts * stage.group_size,
        num_completions=sum(prompts * count for prompts, count in rollouts) * stage.group_size,
        max_new_tokens=stage.sampling.max_new_tokens,
        num_evaluations=2 + between,
        completions_per_evaluation=problems * evaluation.samples_per_problem,
        num_checkpoints=-(-stage.num_steps // stage.checkpoint.every_steps),
    )


def count_parameters(folder: Path) -> int | None:
    """Count a model's weights from the headers of its safetensors files; None if it has none."""
    total = 0
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        for name, tensor in header.items():
            if name != "__metadata__":
                count = 1
                for length in tensor["shape"]:
                    count *= length
                total += count
    return total or None


def memory_parts(
    recipe: Recipe, stage: Stage, settings: dict[str, Any], num_parameters: int
) -> dict[str, float]:
    """Estimate the bytes of a stage's peak by cause.

    Args:
        settings: the model's config.json.
    """
    model = recipe.first_model(stage)
    width = _width(model)
    match stage:
        case SftConfig() | RewardModelStage():
            # rows are filled up to the limit as far as the batch has tokens for it
            return _training_parts(
                model, stage.batch, stage.batch.micro_batch_tokens, settings, num_parameters
            )
        case OnPolicyConfig():
            in_forward = min(stage.batch.micro_batch_tokens, _step_tokens(stage))
            parts = _training_parts(model, stage.batch, in_forward, settings, num_parameters)
            penalised = isinstance(stage, RlConfig) and stage.kl.coef > 0
            parts["reference policy"] = width * num_parameters if penalised else 0
            if models := {name for reward in _preferences(stage) for name in reward.models.values()}:
                parts["reward models"] = (
                    len(models) * width * num_parameters
                )  # taken to be as large as the policy
            if isinstance(stage, OnPolicyDistillStage):
                parts["logits"] *= 2  # the teacher's too
                parts["teacher"] = _teacher_bytes(recipe, stage)
            parts["cache while sampling"] = _cache_values(stage, settings) * width
            return parts
        case SampledDataConfig() | PreferenceDataStage() | ComparisonStage():
            return {
                "program": PROCESS_BYTES,
                "weights": width * num_parameters,
                "activations while training": 0.0,
                "logits": 0.0,
                "cache while sampling": _cache_values(stage, settings) * width,
            }


def _preferences(stage: OnPolicyConfig) -> list[PreferenceReward]:
    return [reward for reward in stage.rewards if isinstance(reward, PreferenceReward)]


def _teacher_bytes(recipe: Recipe, stage: OnPolicyDistillStage) -> float:
    """Bytes of the teacher's weights; 0 where the model that its chain begins with is not on this machine."""
    model = first_model_of(stage.teacher, recipe.all_models, recipe.stages)
    folder = local_folder(model.path)
    return _width(model) * ((count_parameters(folder) if folder else None) or 0)


def _width(model: ModelConfig) -> int:
    """Bytes of a weight or an activation."""
    return 2 if model.dtype == "bfloat16" else 4


def _training_parts(
    model: ModelConfig, batch: BatchConfig, in_forward: int, settings: dict[str, Any], num_parameters: int
) -> dict[str, float]:
    """Estimate what a forward and backward pass over `in_forward` tokens takes, and the optimizer."""
    width = _width(model)
    hidden, layers = settings["hidden_size"], settings["num_hidden_layers"]
    heads, key_heads, head_size = _attention_sizes(settings)
    inner = settings.get("intermediate_size") or 4 * hidden
    per_layer = 8 * hidden + 4 * inner + 3 * (heads + 2 * key_heads) * head_size
    kept = hidden * layers + per_layer if batch.gradient_checkpointing else per_layer * layers
    return {
        "program": PROCESS_BYTES,
        "weights and gradients": (width + 4) * num_parameters,  # gradients add up in float32
        # two float32 moments, and the 16 bits that a bfloat16 weight lacks of its master
        "optimizer": (10 if width == 2 else 8) * num_parameters,
        "activations while training": in_forward * kept * width,
        "logits": width * batch.logprob_chunk_tokens * min(settings["vocab_size"], VOCAB_OF_A_CHUNK),
    }


def _attention_sizes(settings: dict[str, Any]) -> tuple[int, int, int]:
    """Return the numbers of query and key heads, and a head's size."""
    heads = settings["num_attention_heads"]
    head_size = settings.get("head_dim") or settings["hidden_size"] // heads
    return heads, settings.get("num_key_value_heads") or heads, head_size


def _cache_values(
    stage: OnPolicyConfig | SampledDataConfig | PreferenceDataStage | ComparisonStage,
    settings: dict[str, Any],
) -> int:
    """Count the numbers in the key-value cache."""
    if isinstance(stage, SampledDataConfig | PreferenceDataStage):
        at_once = stage.prompts_per_chunk * stage.samples_per_prompt
    elif isinstance(stage, ComparisonStage):
        at_once = stage.num_problems * stage.samples_per_problem
    else:
        plan = plan_stage(stage)
        at_once = max(plan.completions_per_rollout, plan.completions_per_evaluation)
    longest = PROMPT_TOKENS + stage.sampling.max_new_tokens
    side_by_side = min(stage.engine.max_sequences, at_once)
    cached = min(side_by_side * longest, stage.engine.cache_tokens or side_by_side * longest)
    _, key_heads, head_size = _attention_sizes(settings)
    return int(2 * cached * settings["num_hidden_layers"] * key_heads * head_size)


def _step_tokens(stage: OnPolicyConfig) -> int:
    """Count the tokens of one update at most; a prompt is computed once for a group that stays together."""
    completions = stage.prompts_per_step * stage.group_size
    prompts = stage.prompts_per_step if stage.split_rollout_by == "prompt" else completions
    return prompts * PROMPT_TOKENS + completions * stage.sampling.max_new_tokens


def peak_bytes(parts: dict[str, float]) -> float:
    """Add up the parts of a peak; sampling and training do not hold their memory at the same time."""
    together = dict(parts)
    sampling = together.pop("cache while sampling", 0.0)
    training = together.pop("activations while training") + together.pop("logits")
    return sum(together.values()) + max(sampling, training)


def print_plan(console: Console, recipe: Recipe, folder: Path, *, continues: bool) -> None:
    """Print what the recipe will do."""
    console.print(Text(f"\nplan: {'continue the' if continues else 'a new'} run in {folder}", style="bold"))
    for stage in recipe.stages:
        grid = Table.grid(padding=(0, 2))
        for what, amount in _stage_rows(stage, recipe):
            grid.add_row(Text(f"  {what}"), Text(amount))
        console.print(Text(f"stage {stage.name}"), grid)
        _print_memory(console, recipe, stage)


def print_missing(console: Console, missing: Sequence[str]) -> None:
    """Print what the recipe names and this machine lacks; a run would refuse to begin without it."""
    if not missing:
        return
    keys: dict[str, list[str]] = {}
    for problem in missing:
        key, _, what = problem.partition(": ")
        keys.setdefault(what, []).append(key)
    console.print(Text("\nnot here yet; a run needs it:", style="bold yellow"))
    for what, named_by in keys.items():
        console.print(Text(f"  {what}: {', '.join(named_by)}"), soft_wrap=True)


def _stage_rows(stage: Stage, recipe: Recipe) -> list[tuple[str, str]]:
    match stage:
        case ComparisonStage():
            return comparison_plan(stage, recipe)
        case SftConfig():
            return _sft_rows(stage)
        case SampledDataConfig():
            return _sampled_rows(stage)
        case PreferenceDataStage():
            return preference_data_plan(stage)
        case RewardModelStage():
            return reward_model_plan(stage)
        case OnPolicyDistillStage():
            return [*_rows(plan_stage(stage)), ("teacher", stage.teacher)]
        case GeneralRlStage():
            return [*_rows(plan_stage(stage)), *_general_rows(stage)]
        case OnPolicyConfig():
            return _rows(plan_stage(stage))


def _general_rows(stage: GeneralRlStage) -> list[tuple[str, str]]:
    general = stage.general
    reasoning, drawn = num_prompts(stage, rollout_span(stage, stage.num_steps - 1))
    rows = [
        (
            "general prompts",
            f"in the last {general.steps:,} steps, {drawn:,} of the {reasoning + drawn:,} prompts of a rollout",
        )
    ]
    return rows + [
        (
            f"scored by ({reward.part_name})",
            ", ".join(f"{of_set}: {name}" for of_set, name in reward.models.items()),
        )
        for reward in _preferences(stage)
    ]


def _sampled_rows(stage: SampledDataConfig) -> list[tuple[str, str]]:
    prompts = stage.num_prompts or getattr(stage.task, "num_train", None)
    asked = "all training problems" if prompts is None else f"{prompts:,}"
    total = "" if prompts is None else f", {prompts * stage.samples_per_prompt:,} in all"
    rows = [
        ("prompts", f"{asked}, {stage.prompts_per_chunk:,} at once"),
        (
            "completions",
            f"{stage.samples_per_prompt:,} of each{total}, of at most {stage.sampling.max_new_tokens:,} tokens",
        ),
        ("kept", f"at most {stage.max_per_prompt:,} of each prompt, correct and readable"),
    ]
    if isinstance(stage, ColdStartStage):
        rows.append(("rewritten by", _asked(stage.rewriter)))
    if isinstance(stage, RejectionSamplingStage) and stage.judge is not None:
        rows.append(("judged by", f"{_asked(stage.judge.by)} (graders {', '.join(stage.judge.graders)})"))
    rows += [("joined with", f"{part.label}: {', '.join(part.sources)}") for part in stage.joined]
    if stage.joined_world is not None:
        world = stage.joined_world
        kinds = ", ".join(world.kinds)
        rows.append(("joined with", f"{world.label}: {world.num_conversations:,} of the world ({kinds})"))
    return rows


def _asked(config: Any) -> str:
    match config:
        case AskedModel():
            return f"the model {config.model}"
        case AskedEndpoint():
            return f"{config.model} at {config.base_url}"
    return {"rules": "rules", "none": "nobody"}[config.kind]


def _sft_rows(stage: SftConfig) -> list[tuple[str, str]]:
    limit = f", at most {stage.max_steps:,} steps" if stage.max_steps else ""
    return [
        ("epochs", f"{stage.num_epochs:,}{limit}"),
        ("batch", f"{stage.batch_size:,} {stage.batch_unit} of at most {stage.max_tokens:,} tokens"),
        ("trained on", ", ".join(stage.data.train) or "the embedded world"),
        ("held out", ", ".join(stage.data.held_out or (f"at least {stage.data.num_held_out:,} of them",))),
    ]


def _rows(plan: StagePlan) -> list[tuple[str, str]]:
    return [
        ("steps", f"{plan.num_steps:,}"),
        (
            "rollouts",
            f"{plan.num_rollouts:,}, each of {plan.prompts_per_rollout:,} prompts and "
            f"{plan.completions_per_rollout:,} completions",
        ),
        ("completions", f"{plan.num_completions:,}, each of at most {plan.max_new_tokens:,} tokens"),
        (
            "evaluations",
            f"{plan.num_evaluations:,}, each of {plan.completions_per_evaluation:,} completions",
        ),
        ("tokens at most", f"{plan.max_tokens:,}"),
        ("checkpoints", f"{plan.num_checkpoints:,}"),
    ]


def _print_memory(console: Console, recipe: Recipe, stage: Stage) -> None:
    model = local_folder(recipe.first_model(stage).path)
    num_parameters = count_parameters(model) if model else None
    if model is None or num_parameters is None:
        console.print(Text("  memory          not estimated: the model is not on this machine yet"))
        return
    try:
        settings = json.loads((model / "config.json").read_text(encoding="utf-8"))
        parts = memory_parts(recipe, stage, settings, num_parameters)
    except KeyError as error:
        console.print(Text(f"  memory          not estimated: the model's config.json has no {error}"))
        return
    console.print(
        Text(f"  memory at most  {size(peak_bytes(parts))} for {num_parameters / 1e6:,.1f} M weights")
    )
    for what, amount in parts.items():
        if amount:
            console.print(Text(f"    {size(amount):>8}  {what}", style="dim"))
