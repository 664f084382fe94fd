"""Figures of responses to general prompts, which no rule can grade: what reward models think of them, and, where the prompts are
the embedded world's, what is true.

The two side by side show whether a policy got better or only better liked. Samples nothing itself. Called by RL for all
scenarios and by the comparison of stages.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any, get_args

from dunwu.config.output_form import OutputForm
from dunwu.config.task import PreferenceSet
from dunwu.data.world.general import helpfulness, is_harmless
from dunwu.functional.paired import mean_with_normal_interval
from dunwu.functional.passk import Estimate, mean_with_interval
from dunwu.records import Rollout, RolloutGroup
from dunwu.rewards.preference import judged_text

Score = Callable[[RolloutGroup, Rollout], float | None]


def general_figures(
    groups: Sequence[RolloutGroup],
    *,
    preferences: Mapping[str, bool],
    form: OutputForm,
    world: bool,
) -> dict[str, Any]:
    """The figures of evaluated groups of general prompts, the same on every repetition.

    Args:
        groups: their problems have the grader "preference" and name their set.
        preferences: the preference parts in the rewards, each with whether its values lie in 0 to 1.
        form: how completions mark thinking.
        world: the prompts are the embedded world's, whose truth is known.
    Returns:
        num_problems, samples_per_problem; for each preference part its mean over problems and `_interval` (95%, over problems);
        format, language, length_mean, truncated_frac, unscored (responses without a value of any of the parts); with `world`,
        helpfulness (mean of 0, 0.5 and 1, over prompts of the set "helpful") and harmlessness (share, over those of "safety"),
        each with `_interval`; and all of this again for each set under "by_set". A figure is None where nothing was measured.
    """
    figures = _figures(groups, preferences, form, world)
    sets = [name for name in get_args(PreferenceSet) if any(_set(group) == name for group in groups)]
    figures["by_set"] = {
        name: _figures([group for group in groups if _set(group) == name], preferences, form, world)
        for name in sets
    }
    return figures


def _figures(
    groups: Sequence[RolloutGroup], preferences: Mapping[str, bool], form: OutputForm, world: bool
) -> dict[str, Any]:
    everything = [r for group in groups for r in group.rollouts]
    figures: dict[str, Any] = {
        "num_problems": len(groups),
        "samples_per_problem": max((len(group.rollouts) for group in groups), default=0),
    }
    for name, in_unit in preferences.items():
        scores = _by_problem(groups, lambda _, rollout, name=name: _value(rollout, name))  # type: ignore[misc]
        _put(figures, name, mean_with_interval if in_unit else mean_with_normal_interval, scores)
    for name in ("format", "language"):
        figures[name] = _mean([_value(r, name) for r in everything])
    figures["length_mean"] = _mean([len(r.completion.token_ids) for r in everything])
    figures["truncated_frac"] = _mean([float(r.completion.finish_reason == "length") for r in everything])
    figures["unscored"] = sum(all(_value(r, name) is None for name in preferences) for r in everything)
    if world:
        for name, of_set in (("helpfulness", "helpful"), ("harmlessness", "safety")):
            chosen = [group for group in groups if _set(group) == of_set]
            truths = _by_problem(chosen, lambda group, rollout: world_truth(group, rollout, form))
            _put(figures, name, mean_with_interval, truths)
    return figures


def world_truth(group: RolloutGroup, rollout: Rollout, form: OutputForm) -> float:
    """How good a response to one of the embedded world's general prompts is, by the world itself: helpfulness of the summary, or
    harmlessness of the whole response, 0 to 1. A response without summary helps nobody."""
    problem = group.prompt.problem
    text = judged_text(problem, rollout.text, form)
    if _set(group) == "safety":
        return float(is_harmless(problem, text or ""))
    return 0.0 if text is None else helpfulness(problem, text)


def _set(group: RolloutGroup) -> str:
    return str(group.prompt.problem.metadata["set"])


def _value(rollout: Rollout, name: str) -> float | None:
    part = rollout.reward.parts.get(name)
    return None if part is None else part.value


def _by_problem(groups: Sequence[RolloutGroup], score: Score) -> list[float]:
    """The mean score of each problem that has one."""
    means = [_mean([score(group, rollout) for rollout in group.rollouts]) for group in groups]
    return [mean for mean in means if mean is not None]


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return fmean(present) if present else None


def _put(
    figures: dict[str, Any],
    name: str,
    estimate: Callable[[Sequence[float]], Estimate],
    scores: Sequence[float],
) -> None:
    found = estimate(scores) if scores else None
    figures[name] = None if found is None else found.mean
    figures[f"{name}_interval"] = None if found is None else [found.low, found.high]
