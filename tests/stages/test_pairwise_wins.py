"""Wins against another model's responses: both orders count, and who said nothing is not asked about."""

from collections.abc import Sequence

from dunwu.config.output_form import PlainForm, ThinkForm
from dunwu.records import Completion, Problem, Prompt, Reward, RewardPart, Rollout, RolloutGroup
from dunwu.stages.pairwise_wins import with_wins
from dunwu.stages.preference_judges import Query, Verdict

THINK = ThinkForm(opened_by_prompt=False)


def group(of_set: str, *texts: str) -> RolloutGroup:
    problem = Problem("p", "own", "Say something.", "", "preference", metadata={"set": of_set})
    rollouts = tuple(
        Rollout(i, Completion((1,), (0.0,), "stop"), text, Reward(None, {"format": RewardPart(1.0)}))
        for i, text in enumerate(texts)
    )
    return RolloutGroup(Prompt(problem, "", (1,)), rollouts, (None,) * len(rollouts))


class Fixed:
    """Gives the verdicts it was made with, and remembers what it was shown."""

    def __init__(self, *values: int | None) -> None:
        self.values = iter(values)
        self.shown: list[tuple[str, str]] = []

    def compare(self, queries: Sequence[Query]) -> list[Verdict]:
        self.shown += [(query.first.text, query.second.text) for query in queries]
        return [
            Verdict(value) if (value := next(self.values)) is not None else Verdict(fault="unparseable")
            for _ in queries
        ]


def parts(groups: Sequence[RolloutGroup]) -> list[RewardPart]:
    return [rollout.reward.parts["helpfulness"] for group in groups for rollout in group.rollouts]


def test_each_pair_is_shown_in_both_orders_and_averaged() -> None:
    judge = Fixed(2, -1, 1, 1, 0, 0)
    mine = [group("helpful", "<think>x</think>A", "<think>x</think>B", "<think>x</think>C")]
    found = parts(with_wins(mine, THINK, [group("helpful", "a", "b", "c")], PlainForm(), judge))
    assert judge.shown == [("A", "a"), ("a", "A"), ("B", "b"), ("b", "B"), ("C", "c"), ("c", "C")]
    assert [part.value for part in found] == [1.0, 0.5, 0.5]  # the second wins only where it is shown first


def test_without_a_verdict_the_other_order_counts_and_without_both_nothing_is_known() -> None:
    mine, other = [group("helpful", "A", "B")], [group("helpful", "a", "b")]
    one, none = parts(with_wins(mine, PlainForm(), other, PlainForm(), Fixed(None, 2, None, None)))
    assert one.value == 0.0
    assert (none.value, none.status) == (None, "not_gradable")
    assert none.detail == "shown first: unparseable, shown second: unparseable"


def test_who_has_no_summary_loses_and_nobody_is_asked() -> None:
    judge = Fixed()
    mine = [group("helpful", "<think>x</think>A", "<think>still", "<think>still")]
    other = [group("helpful", "<think>still", "<think>x</think>b", "<think>x</think>")]
    assert [part.value for part in parts(with_wins(mine, THINK, other, THINK, judge))] == [1.0, 0.0, 0.5]
    assert judge.shown == []


def test_prompts_of_the_safety_set_are_not_compared() -> None:
    (part,) = parts(
        with_wins([group("safety", "A")], PlainForm(), [group("safety", "a")], PlainForm(), Fixed())
    )
    assert part.status == "not_applicable"
