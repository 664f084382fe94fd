"""The preference reward: what reward models think of responses to general prompts, which no rule can grade.

Scores are computed for whole rollouts at once, after they are sampled, as the paper's Inference module does, not one by one in
the grader's workers. Knows no model: a judge comes as a function of questions and responses. Called by the collector of rollouts,
and so by RL and by evaluation alike.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from dunwu.config.output_form import OutputForm
from dunwu.config.reward import PreferenceReward, RewardConfig
from dunwu.errors import ConfigError
from dunwu.records import Problem, RewardPart, Rollout
from dunwu.rewards.combination import weighted_sum
from dunwu.rewards.output_form import opened_by_prompt, split, thinking_marks

Pair = tuple[str, str]
"""A question, and what is judged of the response to it."""
Place = tuple[int, int]
"""A rollout by the position of its prompt and its own among the prompt's."""


@dataclass(frozen=True)
class Judge:
    """A reward model as it is used here.

    Args:
        scores: the raw scores of pairs, in their order, from forward passes over all of them.
        mean, std: of its scores of held-out responses; needed by the scale "sigmoid".
    """

    scores: Callable[[Sequence[Pair]], list[float]]
    mean: float | None = None
    std: float | None = None


class PreferenceScorer:
    """Adds the preference parts to rollouts that rules have graded, and counts them in their totals.

    Args:
        rewards: all rewards of the stage, whose weighted sum the total is.
        judges: a reward model for every name in them.
    Raises:
        ConfigError: a model has no held-out mean and spread to set its scores against, and the scale is "sigmoid".
    """

    def __init__(
        self, rewards: Sequence[RewardConfig], form: OutputForm, judges: Mapping[str, Judge]
    ) -> None:
        self._preferences = [reward for reward in rewards if isinstance(reward, PreferenceReward)]
        self._weights = {reward.part_name: reward.weight for reward in rewards}
        self._form = form
        self._judges = judges
        for reward in self._preferences:
            for name in reward.models.values():
                if reward.scale == "sigmoid":
                    _require_spread(name, judges[name])

    def add(
        self, problems: Sequence[Problem], rollouts: Sequence[Sequence[Rollout]]
    ) -> list[tuple[Rollout, ...]]:
        """Return the rollouts of each problem with the preference parts added.

        The part of a reward called "preference" is "preference"; beside it, "preference.helpful" or "preference.safety" holds the
        same value, so that figures can be told apart by set. Prompts that a rule grades have the status "not_applicable".

            value = sigmoid((score - mean) / std)        scale "sigmoid"; 0 where there is nothing to judge
            value = score                                scale "none"; where there is nothing to judge, the lowest score of
                                                         the responses to prompts of this set that are scored with it

        Nothing to judge is a response to a prompt of the set "helpful" without summary: thinking never ended, or nothing follows.

        Source: DeepSeek-R1 v2, section 3.1 (eq. 5 and 6) and eq. 10.
        Departures: the scale, and a response without summary, are not stated there.
        """
        judged = {
            (p, i): judged_text(problem, rollout.text, self._form)
            for p, problem in enumerate(problems)
            if problem.grader == "preference"
            for i, rollout in enumerate(rollouts[p])
        }
        found: dict[str, dict[Place, RewardPart]] = {
            reward.part_name: self._parts(reward, problems, judged) for reward in self._preferences
        }
        return [
            tuple(
                self._with(rollout, problem, {name: parts.get((p, i)) for name, parts in found.items()})
                for i, rollout in enumerate(rollouts[p])
            )
            for p, problem in enumerate(problems)
        ]

    def _parts(
        self, reward: PreferenceReward, problems: Sequence[Problem], judged: Mapping[Place, str | None]
    ) -> dict[Place, RewardPart]:
        parts: dict[Place, RewardPart] = {}
        for of_set, name in reward.models.items():
            texts = {at: text for at, text in judged.items() if problems[at[0]].metadata.get("set") == of_set}
            pairs = {at: (problems[at[0]].question, text) for at, text in texts.items() if text is not None}
            judge = self._judges[name]
            scores = dict(zip(pairs, judge.scores(list(pairs.values())), strict=True)) if pairs else {}
            finite = [score for score in scores.values() if math.isfinite(score)]
            lowest = 0.0 if reward.scale == "sigmoid" else min(finite, default=0.0)
            for at in texts:
                parts[at] = (
                    _part(scores[at], reward, judge)
                    if at in scores
                    else RewardPart(lowest, detail="no summary to judge: the lowest value")
                )
        return parts

    def _with(self, rollout: Rollout, problem: Problem, found: Mapping[str, RewardPart | None]) -> Rollout:
        parts = dict(rollout.reward.parts)
        for name, part in found.items():
            if part is not None:
                parts[name] = part
                parts[f"{name}.{problem.metadata['set']}"] = replace(part, detail="")
            elif problem.grader == "preference":
                why = f"no reward model for the set {problem.metadata.get('set')!r}"
                parts[name] = RewardPart(None, "not_applicable", why)
            else:
                parts[name] = RewardPart(None, "not_applicable", "a rule grades this prompt")
        counted = {name: parts[name] for name in self._weights}
        total = weighted_sum(counted, self._weights)
        return replace(rollout, reward=replace(rollout.reward, total=total, parts=parts))


def judged_text(problem: Problem, text: str, form: OutputForm) -> str | None:
    """Return what is judged of a completion: the final summary for helpfulness, the whole response for harmlessness.

    A mark that the prompt wrote belongs to the response. None where there is no summary.

    Source: DeepSeek-R1 v1, section 2.3.4.
    """
    if problem.metadata.get("set") == "helpful":
        summary = split(text, form).summary
        return (summary or "").strip() or None
    marks = thinking_marks(form)
    return (marks[0] + text if marks is not None and opened_by_prompt(form) else text).strip()


def unjudged_sets(problems: Sequence[Problem], rewards: Sequence[RewardConfig]) -> list[str]:
    """Return the sets of general prompts for which no preference reward has a model, sorted."""
    known = {of_set for reward in rewards if isinstance(reward, PreferenceReward) for of_set in reward.models}
    asked = {str(problem.metadata.get("set")) for problem in problems if problem.grader == "preference"}
    return sorted(asked - known)


def _part(score: float, reward: PreferenceReward, judge: Judge) -> RewardPart:
    if not math.isfinite(score):
        return RewardPart(None, "error", f"the reward model's score is {score}")
    if reward.scale == "none":
        return RewardPart(score)
    assert judge.mean is not None, "asked for when the scorer was made"
    assert judge.std is not None, "asked for when the scorer was made"
    return RewardPart(_sigmoid((score - judge.mean) / judge.std), detail=f"score {score:.4g}")


def _sigmoid(x: float) -> float:
    small = math.exp(-abs(x))
    return 1 / (1 + small) if x >= 0 else small / (1 + small)


def _require_spread(name: str, judge: Judge) -> None:
    if judge.mean is None or judge.std is None or not judge.std > 0:
        raise ConfigError(
            f"the reward model {name} has no mean and spread of held-out scores in its config.json (dunwu_score_mean is "
            f'{judge.mean}, dunwu_score_std {judge.std}), and the preference reward\'s scale is "sigmoid"; use a model of a '
            'reward_model stage, or scale = "none"'
        )
