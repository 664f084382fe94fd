"""Everything an RL stage needs before its first step, in the order in which mistakes are cheapest to find.

Problems and references are checked before weights are loaded. Called by the RL loop.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from dunwu.config.stage import RlConfig
from dunwu.data.tasks import ProblemSets, fingerprint, load_problems
from dunwu.data.templates import render
from dunwu.errors import ConfigError, DataError
from dunwu.models.policy import Policy
from dunwu.records import Prompt
from dunwu.rewards.grading import Grader
from dunwu.rewards.output_form import all_marks, require_opened
from dunwu.rollout.collection import Collector, policy_decoder
from dunwu.rollout.embedded import EmbeddedEngine
from dunwu.runs.checkpoints import Checkpoint
from dunwu.stages.context import StageContext
from dunwu.stages.training_run import load_stage_policy
from dunwu.training.optimizer import MasterAdamW
from dunwu.training.rl_state import RlState


@dataclass(frozen=True)
class RlParts:
    """The parts of a running RL stage."""

    state: RlState
    collector: Collector
    grader: Grader
    train: tuple[Prompt, ...]
    held_out: tuple[Prompt, ...]


def checked_problems(config: RlConfig, context: StageContext, grader: Grader) -> ProblemSets:
    """Load the task, leave out what evaluation sets hold, refuse what cannot be graded, and pin the data's fingerprint.

    Raises:
        DataError: references that cannot be graded (listed), or fewer held-out problems than the evaluation asks for.
        RunError: the data differ from those the run was started with.
    """
    problems = load_problems(config.task, context.seed)
    wanted = config.evaluation.num_problems
    if len(problems.held_out) < wanted:
        raise DataError(
            f"evaluation.num_problems is {wanted}, but the task has {len(problems.held_out)} held-out problems; lower it, or "
            "give the task more held-out problems"
        )
    problems = replace(problems, train=context.clean_problems("task", problems.train))
    grader.require_gradable([*problems.train, *problems.held_out[:wanted]])
    context.folder.pin({"task": fingerprint(problems)})
    return problems


def _load_state(config: RlConfig, context: StageContext, checkpoint: Checkpoint | None) -> RlState:
    policy = load_stage_policy(context, checkpoint)
    reference = policy.frozen_copy() if config.kl.coef > 0 else None
    if config.batch.gradient_checkpointing:
        policy.enable_gradient_checkpointing()
    state = RlState(policy, reference, MasterAdamW(policy.model, config.optimizer, config.num_steps))
    if checkpoint is not None:
        state.restore(checkpoint.path)
    return state


def _check_lengths(config: RlConfig, policy: Policy, prompts: list[Prompt]) -> None:
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
def rl_parts(config: RlConfig, context: StageContext, checkpoint: Checkpoint | None) -> Iterator[RlParts]:
    """Build the parts of a stage, from its start or from a checkpoint, and take them down afterwards."""
    with Grader(config.rewards, output_form=config.output_form, service=config.grading) as grader:
        problems = checked_problems(config, context, grader)
        torch.manual_seed(
            context.seed
        )  # nothing draws from torch's generator; this keeps it so if a model did
        state = _load_state(config, context, checkpoint)
        tokenizer = state.policy.tokenizer
        held_out = problems.held_out[: config.evaluation.num_problems]
        train_prompts = [render(config.template, problem, tokenizer) for problem in problems.train]
        held_out_prompts = [render(config.template, problem, tokenizer) for problem in held_out]
        require_opened([*train_prompts, *held_out_prompts], config.output_form)
        _check_lengths(config, state.policy, [*train_prompts, *held_out_prompts])
        engine = EmbeddedEngine(state.policy, config.engine)
        try:
            collector = Collector(engine, policy_decoder(state.policy, all_marks(config.output_form)), grader)
            yield RlParts(state, collector, grader, tuple(train_prompts), tuple(held_out_prompts))
        finally:
            engine.close()
