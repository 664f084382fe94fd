"""Everything a stage that trains on its own completions needs before its first step, the cheapest mistakes found first.

Problems and references are checked before weights are loaded. Called by the RL loop.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch

from dunwu.config.on_policy import OnPolicyConfig
from dunwu.config.reward import PreferenceReward
from dunwu.config.stage import RlConfig
from dunwu.config.task import WorldTask
from dunwu.data.tasks import ProblemSets, fingerprint, first_held_out, load_problems
from dunwu.data.templates import render
from dunwu.errors import ConfigError, DataError
from dunwu.models.policy import Policy
from dunwu.records import Problem, Prompt
from dunwu.rewards.grading import Grader
from dunwu.rewards.output_form import all_marks, require_opened
from dunwu.rollout.collection import Collector, open_collector
from dunwu.runs.checkpoints import Checkpoint
from dunwu.stages.context import StageContext
from dunwu.stages.preference_models import load_scorer, require_judged
from dunwu.stages.training_run import load_stage_policy
from dunwu.training.optimizer import MasterAdamW
from dunwu.training.rl_state import RlState


@dataclass(frozen=True)
class GeneralParts:
    """The general prompts of a stage, and whether the embedded world knows what is a good response to them."""

    train: tuple[Prompt, ...]
    held_out: tuple[Prompt, ...]
    of_world: bool


@dataclass(frozen=True)
class RlParts:
    """The parts of a running stage that trains on its own completions."""

    state: RlState
    collector: Collector
    grader: Grader
    train: tuple[Prompt, ...]
    held_out: tuple[Prompt, ...]
    general: GeneralParts | None = None


def checked_problems(config: OnPolicyConfig, context: StageContext, grader: Grader) -> ProblemSets:
    """Load the task, leave out what evaluation sets hold, refuse what cannot be graded, and pin the data's fingerprint.

    Raises:
        DataError: references that cannot be graded (listed), or fewer held-out problems than the evaluation asks for.
        RunError: the data differ from those the run was started with.
    """
    problems = load_problems(config.task, context.seed)
    held_out = first_held_out(problems.held_out, config.evaluation.num_problems, "evaluation.num_problems")
    problems = replace(problems, train=context.clean_problems("task", problems.train))
    grader.require_gradable([*problems.train, *held_out])
    if config.general_prompts is not None:
        _require_kind(problems.train, "task", general=False)
        _require_kind(held_out, "task", general=False)
    require_judged(config, "task", [*problems.train, *held_out])
    context.folder.pin({"task": fingerprint(problems)})
    return problems


def checked_general(config: OnPolicyConfig, context: StageContext, grader: Grader) -> ProblemSets | None:
    """Do the same for the general prompts; None for a stage without them."""
    general = config.general_prompts
    if general is None:
        return None
    problems = load_problems(general.task, context.seed)
    held_out = first_held_out(problems.held_out, general.num_problems, "general.num_problems")
    problems = replace(
        problems, train=context.clean_problems("general.task", problems.train), held_out=tuple(held_out)
    )
    everything = [*problems.train, *problems.held_out]
    _require_kind(everything, "general.task", general=True)
    grader.require_gradable(everything)
    require_judged(config, "general.task", everything)
    context.folder.pin({"general.task": fingerprint(problems)})
    return problems


def _require_kind(problems: Sequence[Problem], key: str, *, general: bool) -> None:
    wrong = [problem for problem in problems if (problem.grader == "preference") != general]
    if wrong:
        of_all = f"{len(wrong)} of {len(problems)} problems"
        raise DataError(
            f"{key} must hold general prompts only, and {of_all} have another grader, the first {wrong[0].grader!r}; put what a "
            'rule can grade into `task`, and give the rest the grader "preference"'
            if general
            else f'{key} must hold problems that a rule can grade, and {of_all} have the grader "preference"; put them into '
            "general.task"
        )


def _load_state(config: OnPolicyConfig, context: StageContext, checkpoint: Checkpoint | None) -> RlState:
    policy = load_stage_policy(context, checkpoint)
    penalised = isinstance(config, RlConfig) and config.kl.coef > 0
    reference = policy.frozen_copy() if penalised else None
    if config.batch.gradient_checkpointing:
        policy.enable_gradient_checkpointing()
    state = RlState(policy, reference, MasterAdamW(policy.model, config.optimizer, config.num_steps))
    if checkpoint is not None:
        state.restore(checkpoint.path)
    return state


def _check_lengths(config: OnPolicyConfig, policy: Policy, prompts: list[Prompt]) -> None:
    longest = max(prompts, key=lambda prompt: len(prompt.token_ids))
    total = len(longest.token_ids) + config.sampling.max_new_tokens
    limit = getattr(policy.config, "max_position_embeddings", None)
    if limit is not None and total > limit:
        raise ConfigError(
            f"the longest prompt has {len(longest.token_ids)} tokens and sampling.max_new_tokens is "
            f"{config.sampling.max_new_tokens}: {total} in all, but the model has {limit} positions; lower max_new_tokens to at "
            f"most {limit - len(longest.token_ids)}"
        )
    if total > config.batch.micro_batch_tokens:
        raise ConfigError(
            f"batch.micro_batch_tokens is {config.batch.micro_batch_tokens}, less than one longest prompt with its completion "
            f"({total} tokens); raise it"
        )


@contextmanager
def rl_parts(
    config: OnPolicyConfig, context: StageContext, checkpoint: Checkpoint | None
) -> Iterator[RlParts]:
    """Build the parts of a stage, from its start or from a checkpoint, and take them down afterwards."""
    rules = [reward for reward in config.rewards if not isinstance(reward, PreferenceReward)]
    with Grader(rules, output_form=config.output_form, service=config.grading) as grader:
        problems = checked_problems(config, context, grader)
        general_problems = checked_general(config, context, grader)
        torch.manual_seed(
            context.seed
        )  # nothing draws from torch's generator; this keeps it so if a model did
        state = _load_state(config, context, checkpoint)
        scorer = load_scorer(config, context, state.policy.device)
        prompts = partial(_prompts, config, state.policy)
        held_out = problems.held_out[: config.evaluation.num_problems]
        train, held_out_prompts = prompts(problems.train), prompts(held_out)
        general = None
        if general_problems is not None:
            general = GeneralParts(
                prompts(general_problems.train),
                prompts(general_problems.held_out),
                config.general_prompts is not None and isinstance(config.general_prompts.task, WorldTask),
            )
        marks = all_marks(config.output_form)
        with open_collector(
            state.policy, grader, keep=marks, engine=config.engine, scorer=scorer
        ) as collector:
            yield RlParts(state, collector, grader, train, held_out_prompts, general)


def _prompts(config: OnPolicyConfig, policy: Policy, problems: Sequence[Problem]) -> tuple[Prompt, ...]:
    found = [render(config.template, problem, policy.tokenizer) for problem in problems]
    require_opened(found, config.output_form)
    _check_lengths(config, policy, found)
    return tuple(found)
