"""The figures of one policy update that come from its completions, and what a zero means. Pure counting.

Called by the RL loop, which adds the figures of the update itself (`rl_step`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, get_args

from dunwu.functional.reflection import checks_itself
from dunwu.functional.repetition import ends_in_loop
from dunwu.functional.script_mixing import off_language
from dunwu.records import PartStatus, RolloutGroup
from dunwu.training.sequences import TrainSequence


def completion_metrics(groups: Sequence[RolloutGroup], minibatch: Sequence[TrainSequence]) -> dict[str, Any]:
    """Rewards and lengths of the completions behind one update.

    Returns:
        reward; reward_<part> for each part, its mean over the completions that it applies to; accuracy, format,
        length_mean (tokens; also _right, _wrong, _max), truncated_frac, self_check_frac, repetitive_frac (end in a loop),
        off_language_frac (largely in another script than the question's), zero_spread_frac (share of the completions whose
        group's advantages are all 0). None where there was nothing to measure.
    """
    members = [groups[s.group].rollouts[s.rollout] for s in minibatch]
    spread = {
        g: any(groups[g].advantages[i] for i in range(len(groups[g].advantages)))
        for g in {s.group for s in minibatch}
    }
    lengths = [len(r.completion.token_ids) for r in members]
    names = sorted({name for r in members for name in r.reward.parts})
    metrics: dict[str, Any] = {
        "reward": _mean([r.reward.total for r in members]),
        "accuracy": _mean([None if r.reward.correct is None else float(r.reward.correct) for r in members]),
        "length_mean": _mean(lengths),
        "length_mean_right": _mean([len(r.completion.token_ids) for r in members if r.reward.correct]),
        "length_mean_wrong": _mean(
            [len(r.completion.token_ids) for r in members if r.reward.correct is False]
        ),
        "length_max": max(lengths, default=None),
        "truncated_frac": _mean([float(r.completion.finish_reason == "length") for r in members]),
        "self_check_frac": _mean([float(checks_itself(r.text)) for r in members]),
        "repetitive_frac": _mean([float(ends_in_loop(r.text)) for r in members]),
        "off_language_frac": _mean(_off_language(groups, minibatch)),
        "zero_spread_frac": _mean([float(not spread[s.group]) for s in minibatch]),
    }
    for name in names:
        parts = [r.reward.parts[name] for r in members if name in r.reward.parts]
        metrics[f"reward_{name}"] = _mean([part.value for part in parts])
    metrics["format"] = metrics.get("reward_format")
    return metrics


def _off_language(groups: Sequence[RolloutGroup], minibatch: Sequence[TrainSequence]) -> list[float | None]:
    seen = [
        off_language(groups[s.group].rollouts[s.rollout].text, groups[s.group].prompt.problem.language)
        for s in minibatch
    ]
    return [None if off is None else float(off) for off in seen]


def rollout_counts(groups: Sequence[RolloutGroup], dropped: Sequence[RolloutGroup]) -> dict[str, Any]:
    """What a whole rollout lost and why.

    Returns:
        ungraded (excluded rollouts), grader_errors and not_gradable (parts), refilled_groups; and for each part
        reward_<part>_<status>, of how many rollouts it has the status ok, not_applicable, not_gradable or error.
    """
    rollouts = [r for group in groups for r in group.rollouts]
    parts = [(name, part.status) for r in rollouts for name, part in r.reward.parts.items()]
    statuses = [status for _, status in parts]
    by_part = Counter(parts)
    return {
        "ungraded": sum(r.reward.total is None for r in rollouts),
        "grader_errors": statuses.count("error"),
        "not_gradable": statuses.count("not_gradable"),
        "refilled_groups": len(dropped),
        **{
            f"reward_{name}_{status}": by_part[name, status]
            for name in sorted({name for name, _ in parts})
            for status in get_args(PartStatus)
        },
    }


@dataclass(frozen=True)
class StepNote:
    """Why a step taught nothing, or seemed to: a short name of the cause, and a sentence for a person. What ails a stage over
    many steps is told by `functional.diagnosis`."""

    cause: str
    text: str


NOTHING_TO_TRAIN = StepNote(
    "nothing to train",
    "no completion of this mini-batch can be trained on: all were excluded (truncated and masked, or not graded), "
    "so no update was made",
)


def explain_zero(metrics: Mapping[str, Any]) -> StepNote | None:
    """Say which of the well-known causes makes the loss or the reward spread 0; None when neither is.

    The causes, most serious first: everything was truncated; no group has any spread of reward; the policy is
    still the one that sampled, so that the loss is 0 by construction while its gradient is not.
    """
    if metrics.get("truncated_frac") == 1.0:
        return StepNote(
            "all truncated",
            "every completion was cut at sampling.max_new_tokens, so none could finish an answer: raise it, or "
            "check that the model knows its end-of-sequence token",
        )
    if metrics.get("zero_spread_frac") == 1.0:
        accuracy = metrics.get("accuracy")
        why = (
            "all are right"
            if accuracy == 1.0
            else "all are wrong"
            if accuracy == 0.0
            else "within each group"
        )
        return StepNote(
            "no spread",
            f"no group has any spread of reward ({why}), so nothing is learned from this step: use easier or "
            "harder problems, a larger group_size, or refill_rounds",
        )
    if abs(metrics.get("policy_loss", 1.0)) < 1e-6 and metrics.get("grad_norm", 0.0) > 0:
        return StepNote(
            "on policy",
            "the loss is 0 by construction: on the first update after sampling every ratio is 1 and advantages "
            f"sum to 0. The gradient is not (norm {metrics['grad_norm']:.3g}); nothing is wrong",
        )
    return None


def _mean(values: Sequence[float | None]) -> float | None:
    present = [v for v in values if v is not None]
    return fmean(present) if present else None
