"""Evaluate a policy on held-out problems: sample several completions of each, grade them, count with intervals.

Only counts and means that are the same on every repetition; seconds belong to the caller's timings. Called by the stages
(before, during, after) and by `dunwu eval`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from dunwu.config.output_form import OutputForm
from dunwu.config.reward import RewardConfig
from dunwu.config.task import Task, Template
from dunwu.config.training import EvaluationConfig, ModelConfig, SamplingConfig
from dunwu.data.tasks import first_held_out, load_problems
from dunwu.data.templates import render
from dunwu.functional.passk import Estimate, cons_at_k, pass_at_k
from dunwu.functional.reflection import checks_itself
from dunwu.models.loading import load_policy
from dunwu.records import Prompt, Rollout, RolloutGroup, SamplingParams
from dunwu.rewards.grading import Grader
from dunwu.rewards.output_form import all_marks, require_opened
from dunwu.rollout.collection import Collector, open_collector, sampling_params
from dunwu.runs.progress import Progress


@dataclass(frozen=True)
class EvaluationResult:
    """Figures of one evaluation, ready for JSON, and the samples behind them."""

    figures: Mapping[str, Any]
    groups: tuple[RolloutGroup, ...]


def evaluate(
    collector: Collector,
    prompts: Sequence[Prompt],
    *,
    num_samples: int,
    sampling: SamplingParams,
    run_seed: int,
    seed_path: tuple[int | str, ...],
    on_progress: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """Sample and grade `num_samples` completions of every prompt.

    The draws depend on (run_seed, seed_path, problem, sample) alone: two models evaluated with the same path are compared on
    the same random numbers, and the figure of a problem does not depend on which others are evaluated with it.
    """
    rollouts = collector.collect(
        prompts,
        num_samples=num_samples,
        sampling=sampling,
        run_seed=run_seed,
        seed_path=seed_path,
        on_progress=on_progress,
    )
    groups = tuple(
        RolloutGroup(prompt, of_prompt, (None,) * len(of_prompt))
        for prompt, of_prompt in zip(prompts, rollouts, strict=True)
    )
    kinds = sorted({group.prompt.problem.kind for group in groups})
    figures = summarise(groups, num_samples)
    figures["by_kind"] = {
        kind: summarise([g for g in groups if g.prompt.problem.kind == kind], num_samples) for kind in kinds
    }
    return EvaluationResult(figures, groups)


def evaluate_model(
    model: ModelConfig,
    task: Task,
    *,
    template: Template,
    output_form: OutputForm,
    rewards: Sequence[RewardConfig],
    evaluation: EvaluationConfig,
    sampling: SamplingConfig,
    seed: int,
    progress: Progress,
) -> EvaluationResult:
    """Evaluate a model, which may be any folder or hub name, on a task's held-out problems.

    Raises:
        DataError: too few held-out problems, or references that cannot be graded.
        ModelError: the model cannot be loaded.
        ConfigError: the prompts do not end as the output form says.
    """
    held_out = first_held_out(load_problems(task, seed).held_out, evaluation.num_problems)
    with Grader(rewards, output_form=output_form) as grader:
        grader.require_gradable(held_out)
        policy = load_policy(model)
        prompts = [render(template, problem, policy.tokenizer) for problem in held_out]
        require_opened(prompts, output_form)
        with open_collector(policy, grader, keep=all_marks(output_form)) as collector:
            return evaluate(
                collector,
                prompts,
                num_samples=evaluation.samples_per_problem,
                sampling=sampling_params(sampling, policy),
                run_seed=seed,
                seed_path=("evaluation",),
                on_progress=lambda done, total: progress.evaluation("evaluation", done, total),
            )


def summarise(groups: Sequence[RolloutGroup], num_samples: int) -> dict[str, Any]:
    """The figures of a set of evaluated groups.

    A completion that could not be graded counts in `ungraded` and in no share of right ones; a problem none of whose
    completions could be graded is in no figure of correctness.
    """
    graded = [[r for r in group.rollouts if r.reward.correct is not None] for group in groups]
    graded = [of_prompt for of_prompt in graded if of_prompt]
    correct = [[bool(r.reward.correct) for r in of_prompt] for of_prompt in graded]
    everything = [r for group in groups for r in group.rollouts]
    figures: dict[str, Any] = {"num_problems": len(groups), "samples_per_problem": num_samples}
    for k in (k for k in (1, 2, 4, 8, 16, 32, 64) if k <= num_samples):
        enough = [c for c in correct if len(c) >= k]
        _put(figures, f"pass_at_{k}", pass_at_k(enough, k) if enough else None)
    if num_samples > 1:
        full = [of_prompt for of_prompt in graded if len(of_prompt) == num_samples]
        answers = [[r.reward.answer for r in of_prompt] for of_prompt in full]
        verdicts = [[bool(r.reward.correct) for r in of_prompt] for of_prompt in full]
        _put(figures, f"cons_at_{num_samples}", cons_at_k(answers, verdicts, num_samples) if full else None)
    figures["format"] = _mean_part(everything, "format")
    figures["self_check_frac"] = fmean(checks_itself(r.text) for r in everything)
    figures["length_mean"] = fmean(len(r.completion.token_ids) for r in everything)
    figures["length_mean_right"] = _mean_length(everything, right=True)
    figures["length_mean_wrong"] = _mean_length(everything, right=False)
    figures["truncated_frac"] = fmean(r.completion.finish_reason == "length" for r in everything)
    figures["ungraded"] = sum(_failed(r) for r in everything)
    return figures


def _failed(rollout: Rollout) -> bool:
    """Whether it should have been graded and could not be; no rule grades responses to general prompts."""
    part = rollout.reward.parts.get("accuracy")
    return rollout.reward.correct is None and (part is None or part.status != "not_applicable")


def _put(figures: dict[str, Any], name: str, estimate: Estimate | None) -> None:
    figures[name] = None if estimate is None else estimate.mean
    figures[f"{name}_interval"] = None if estimate is None else [estimate.low, estimate.high]


def _mean_part(rollouts: Sequence[Rollout], name: str) -> float | None:
    parts = [r.reward.parts[name].value for r in rollouts if name in r.reward.parts]
    values = [value for value in parts if value is not None]
    return fmean(values) if values else None


def _mean_length(rollouts: Sequence[Rollout], *, right: bool) -> float | None:
    lengths = [len(r.completion.token_ids) for r in rollouts if r.reward.correct is right]
    return fmean(lengths) if lengths else None
