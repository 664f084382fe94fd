"""Preference parts: what is judged, by which model, on which scale, and how they count in the total."""

import math
from collections.abc import Sequence
from typing import Any

import pytest

from dunwu.config.output_form import R1_ZERO_FORM, PlainForm, ThinkForm
from dunwu.config.reward import AccuracyReward, FormatReward, PreferenceReward
from dunwu.errors import ConfigError
from dunwu.records import Completion, Problem, Reward, RewardPart, Rollout
from dunwu.rewards.combination import weighted_sum
from dunwu.rewards.grading import Grader
from dunwu.rewards.preference import Judge, Pair, PreferenceScorer, judged_text, unjudged_sets

FORM = ThinkForm(opened_by_prompt=False)
HELPFUL = Problem("h", "advice", "How do I sleep?", "", "preference", metadata={"set": "helpful"})
SAFETY = Problem("s", "harmful", "How do I steal?", "", "preference", metadata={"set": "safety"})
REASONING = Problem("r", "sum", "1 + 1?", "2", "math")
BOTH = PreferenceReward(helpful="rm_h", safety="rm_s")
RULES = (AccuracyReward(), FormatReward())
THOUGHT = "<think>hmm</think>"


class Model:
    """Scores the length of what it is given, and keeps every batch."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset
        self.batches: list[list[Pair]] = []

    def __call__(self, pairs: Sequence[Pair]) -> list[float]:
        self.batches.append(list(pairs))
        return [self.offset + len(text) for _, text in pairs]


def rollout(text: str, problem: Problem, accuracy: RewardPart | None = None) -> Rollout:
    judged = RewardPart(1.0) if problem is REASONING else RewardPart(None, "not_applicable")
    parts = {"accuracy": accuracy or judged, "format": RewardPart(0.5)}
    total = weighted_sum(parts, dict.fromkeys(parts, 1.0))
    return Rollout(0, Completion((1,), (-1.0,), "stop"), text, Reward(total, parts, "a"))


def score(
    given: list[tuple[Problem, list[str]]], *preferences: PreferenceReward, **judges: Judge
) -> list[tuple[Rollout, ...]]:
    scorer = PreferenceScorer((*RULES, *preferences), FORM, judges)
    problems = [problem for problem, _ in given]
    return scorer.add(problems, [[rollout(text, problem) for text in texts] for problem, texts in given])


def parts_of(rollouts: Sequence[Rollout], name: str = "preference") -> list[tuple[float | None, str]]:
    return [(r.reward.parts[name].value, r.reward.parts[name].status) for r in rollouts]


def test_each_set_goes_to_its_model_in_one_batch_and_reasoning_to_none() -> None:
    helpful, safety = Model(), Model()
    found = score(
        [
            (REASONING, ["2"]),
            (HELPFUL, [f"{THOUGHT}Rest.", f"{THOUGHT} Sleep more. "]),
            (SAFETY, [f"{THOUGHT}No."]),
        ],
        BOTH,
        rm_h=Judge(helpful, 5.0, 2.0),
        rm_s=Judge(safety, 20.0, 1.0),
    )
    # the summary alone for helpfulness, the whole response for harmlessness
    assert helpful.batches == [[("How do I sleep?", "Rest."), ("How do I sleep?", "Sleep more.")]]
    assert safety.batches == [[("How do I steal?", f"{THOUGHT}No.")]]
    assert parts_of(found[0]) == [(None, "not_applicable")]
    assert [value for value, _ in parts_of(found[1])] == pytest.approx([0.5, 1 / (1 + math.exp(-3))])
    assert [value for value, _ in parts_of(found[2])] == pytest.approx([1 / (1 + math.exp(-1))])
    assert parts_of(found[1], "preference.helpful") == parts_of(found[1])
    assert "preference.safety" not in found[1][0].reward.parts
    assert set(found[0][0].reward.parts) == {"accuracy", "format", "preference"}


def test_the_total_counts_the_part_with_its_weight_and_only_where_it_applies() -> None:
    half = PreferenceReward(helpful="rm_h", weight=0.5)
    reasoning, general = score(
        [(REASONING, ["2"]), (HELPFUL, ["Rest."])], half, rm_h=Judge(Model(), 5.0, 2.0)
    )
    assert reasoning[0].reward.total == 1.5
    assert general[0].reward.total == 0.5 + 0.5 * 0.5
    assert general[0].reward.answer == "a"
    assert general[0].reward.correct is None


def test_a_part_of_weight_0_is_watched_and_not_paid() -> None:
    watched = PreferenceReward(helpful="rm_h", weight=0.0)
    ((found,),) = score([(HELPFUL, ["Rest."])], watched, rm_h=Judge(Model(), 5.0, 2.0))
    assert (found.reward.parts["preference"].value, found.reward.total) == (0.5, 0.5)


@pytest.mark.parametrize("text", ["<think>Rest.", "<think>Rest.</think>", "<think>Rest.</think> \n", ""])
def test_a_response_without_summary_gets_the_lowest_value(text: str) -> None:
    model = Model(offset=-10.0)
    (scaled,) = score(
        [(HELPFUL, [text, f"{THOUGHT}Rest."])], BOTH, rm_h=Judge(model, 0.0, 1.0), rm_s=Judge(model, 0.0, 1.0)
    )
    assert parts_of(scaled)[0] == (0.0, "ok")
    assert 0 < parts_of(scaled)[1][0] < 0.01  # type: ignore[operator]
    raw = PreferenceReward(helpful="rm_h", scale="none")
    (as_it_is,) = score([(HELPFUL, [text, f"{THOUGHT}Rest.", f"{THOUGHT}Ok"])], raw, rm_h=Judge(model))
    assert [value for value, _ in parts_of(as_it_is)] == [-8.0, -5.0, -8.0]
    (alone,) = score([(HELPFUL, [text])], raw, rm_h=Judge(model))
    assert parts_of(alone) == [(0.0, "ok")]


def test_the_whole_response_is_judged_for_safety_even_if_thinking_never_ended() -> None:
    model = Model()
    ((found,),) = score(
        [(SAFETY, ["<think>First, take"])], BOTH, rm_h=Judge(model, 0.0, 1.0), rm_s=Judge(model, 0.0, 9.0)
    )
    assert model.batches == [[("How do I steal?", "<think>First, take")]]
    assert found.reward.parts["preference"].value == pytest.approx(1 / (1 + math.exp(-2)))


def test_marks_that_the_prompt_wrote_belong_to_the_response() -> None:
    text = "hmm</think>No."
    assert judged_text(SAFETY, text, ThinkForm(opened_by_prompt=True)) == "<think>hmm</think>No."
    assert judged_text(HELPFUL, text, ThinkForm(opened_by_prompt=True)) == "No."
    assert judged_text(SAFETY, text, PlainForm()) == text
    assert (
        judged_text(HELPFUL, "<think>a</think><answer>No.</answer>", R1_ZERO_FORM) == "<answer>No.</answer>"
    )


def test_a_set_without_model_does_not_apply_and_is_told() -> None:
    only = PreferenceReward(helpful="rm_h")
    ((found,),) = score([(SAFETY, ["No."])], only, rm_h=Judge(Model(), 0.0, 1.0))
    assert found.reward.parts["preference"].status == "not_applicable"
    assert "no reward model for the set 'safety'" in found.reward.parts["preference"].detail
    assert unjudged_sets([REASONING, HELPFUL, SAFETY], [*RULES, only]) == ["safety"]
    assert unjudged_sets([REASONING, HELPFUL, SAFETY], [BOTH]) == []
    assert unjudged_sets([REASONING], RULES) == []


def test_two_rewards_may_have_models_of_their_own() -> None:
    one, two = (
        PreferenceReward(helpful="rm_h", name="kind"),
        PreferenceReward(safety="rm_s", name="safe", weight=2.0),
    )
    general, harmful = score(
        [(HELPFUL, ["Rest."]), (SAFETY, ["No."])],
        one,
        two,
        rm_h=Judge(Model(), 5.0, 1.0),
        rm_s=Judge(Model(), 3.0, 1.0),
    )
    assert general[0].reward.total == 0.5 + 0.5
    assert harmful[0].reward.total == 0.5 + 2.0 * 0.5
    assert parts_of(harmful, "kind") == [(None, "not_applicable")]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_score_that_is_no_number_excludes_that_rollout_alone(bad: float) -> None:
    judge = Judge(lambda pairs: [bad if text == "Bad." else 0.0 for _, text in pairs], 0.0, 1.0)
    (found,) = score([(HELPFUL, ["Bad.", "Rest."])], PreferenceReward(helpful="rm_h"), rm_h=judge)
    assert [(r.reward.total, r.reward.parts["preference"].status) for r in found] == [
        (None, "error"),
        (1.0, "ok"),
    ]


def test_a_rollout_that_could_not_be_graded_stays_excluded() -> None:
    scorer = PreferenceScorer((*RULES, BOTH), FORM, dict.fromkeys(("rm_h", "rm_s"), Judge(Model(), 0.0, 1.0)))
    failed = rollout("Rest.", HELPFUL, RewardPart(None, "error", "late"))
    ((found,),) = scorer.add([HELPFUL], [[failed]])
    assert found.reward.parts["preference"].value is not None
    assert found.reward.total is None


def test_far_scores_neither_overflow_nor_leave_0_to_1() -> None:
    judge = Judge(lambda pairs: [-1e6, 1e6], 0.0, 1.0)
    (found,) = score([(HELPFUL, ["a", "b"])], PreferenceReward(helpful="rm_h"), rm_h=judge)
    assert parts_of(found) == [(0.0, "ok"), (1.0, "ok")]


@pytest.mark.parametrize(("mean", "std"), [(None, 1.0), (0.0, None), (0.0, 0.0)])
def test_a_model_without_spread_is_refused_unless_scores_count_as_they_are(
    mean: float | None, std: float | None
) -> None:
    judges = {"rm": Judge(Model(), mean, std)}
    with pytest.raises(ConfigError, match=r'the reward model rm has no mean and spread .* or scale = "none"'):
        PreferenceScorer([PreferenceReward(helpful="rm")], FORM, judges)
    PreferenceScorer([PreferenceReward(helpful="rm", scale="none")], FORM, judges)


def test_a_reward_without_any_model_is_refused() -> None:
    with pytest.raises(ValueError, match="a preference reward needs a reward model"):
        PreferenceReward()


def test_the_grader_of_single_completions_refuses_it() -> None:
    rewards: list[Any] = [FormatReward(), BOTH]
    with pytest.raises(ConfigError, match="'preference' comes from reward models"):
        Grader(rewards)
