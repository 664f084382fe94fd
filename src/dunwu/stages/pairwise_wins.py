"""How often a model's responses to general prompts are found better than those of another model, as ArenaHard measures it.

Each pair is shown in both orders, so that a preference for the first or second place cancels out. Called by the comparison of
stages.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Protocol

from dunwu.config.output_form import OutputForm
from dunwu.evaluation.comparison import HELPFULNESS, with_parts
from dunwu.records import RewardPart, Rollout, RolloutGroup
from dunwu.rewards.preference import judged_text
from dunwu.stages.preference_judges import Judged, Query, Verdict

_NOT_JUDGED = RewardPart(None, "not_applicable", "only responses to prompts of the set helpful are compared")


class PairJudge(Protocol):
    """The part of a judge that is needed here."""

    def compare(self, queries: Sequence[Query]) -> list[Verdict]:
        """Say for each query how much better the response shown first is."""
        ...


def with_wins(
    groups: Sequence[RolloutGroup],
    form: OutputForm,
    against: Sequence[RolloutGroup],
    against_form: OutputForm,
    judge: PairJudge,
) -> tuple[RolloutGroup, ...]:
    """Return the groups with the part "helpfulness": 1 for a win against the other model's response, 0.5 for a tie, 0 for a loss.

    Sample i is compared with sample i of the same prompt, twice, and the value is the mean over both orders. A response without
    summary loses to one with, and ties with another without; nobody is asked about it. Without a verdict in either order the
    part has the status "not_gradable".

    Args:
        against: the other model's groups, of the same prompts in the same order.
    """
    parts: dict[tuple[int, int], RewardPart] = {}
    queries: list[Query] = []
    places: list[tuple[int, int]] = []
    for g, (group, other) in enumerate(zip(groups, against, strict=True)):
        problem = group.prompt.problem
        for mine, theirs in zip(group.rollouts, other.rollouts, strict=True):
            i = mine.sample_index
            if problem.metadata.get("set") != "helpful":
                parts[g, i] = _NOT_JUDGED
                continue
            own = judged_text(problem, mine.text, form)
            others = judged_text(problem, theirs.text, against_form)
            if own is None or others is None:
                value = 0.5 if own is others else float(own is not None)
                parts[g, i] = RewardPart(value, detail="a response has no summary; nobody was asked")
                continue
            own_shown, other_shown = Judged("own", i, own), Judged("other", i, others)
            queries.append(Query(problem, own_shown, other_shown, 0))
            queries.append(Query(problem, other_shown, own_shown, 1))
            places.append((g, i))
    verdicts = judge.compare(queries) if queries else []
    for place, first, second in zip(places, verdicts[::2], verdicts[1::2], strict=True):
        parts[place] = _win(first, second)
    return tuple(_with_found(group, g, parts) for g, group in enumerate(groups))


def _with_found(
    group: RolloutGroup, position: int, parts: Mapping[tuple[int, int], RewardPart]
) -> RolloutGroup:
    def part(_: RolloutGroup, rollout: Rollout) -> RewardPart:
        return parts[position, rollout.sample_index]

    return with_parts([group], HELPFULNESS, part)[0]


def _win(shown_first: Verdict, shown_second: Verdict) -> RewardPart:
    values = [] if shown_first.value is None else [_value(shown_first.value)]
    values += [] if shown_second.value is None else [_value(-shown_second.value)]
    told = ", ".join(
        f"shown {place}: {verdict.fault or verdict.value}"
        for place, verdict in (("first", shown_first), ("second", shown_second))
    )
    return RewardPart(fmean(values), detail=told) if values else RewardPart(None, "not_gradable", told)


def _value(better: int) -> float:
    return 1.0 if better > 0 else 0.5 if better == 0 else 0.0
