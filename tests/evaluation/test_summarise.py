"""Figures of an evaluation from hand-made samples: shares, votes, lengths, and what ungraded samples do to them."""

from dataclasses import replace

import pytest

from dunwu.evaluation.run import summarise
from dunwu.records import Completion, FinishReason, Problem, Prompt, Reward, RewardPart, Rollout, RolloutGroup


def sample(
    index: int,
    answer: str | None,
    right: bool | None,
    *,
    length: int = 3,
    finish: FinishReason = "stop",
    text: str = "",
) -> Rollout:
    value = None if right is None else float(right)
    parts = {
        "accuracy": RewardPart(value, "error" if right is None else "ok"),
        "format": RewardPart(1.0 if answer else 0.0),
    }
    completion = Completion((1,) * length, (-0.1,) * length, finish)
    return Rollout(index, completion, text, Reward(value, parts, answer))


def group(name: str, *samples: Rollout) -> RolloutGroup:
    prompt = Prompt(Problem(name, "sum", "q", "1", "numeric"), "q", (1,))
    return RolloutGroup(prompt, samples, (None,) * len(samples))


def test_pass_at_k_and_majority() -> None:
    groups = [
        group("a", *(sample(i, "1", True) for i in range(3)), sample(3, "2", False)),
        group("b", sample(0, "1", True), sample(1, "2", False), sample(2, "2", False), sample(3, "2", False)),
    ]
    figures = summarise(groups, 4)
    assert figures["pass_at_1"] == pytest.approx(0.5)
    assert figures["pass_at_2"] == pytest.approx((1 + 0.5) / 2)
    assert figures["pass_at_4"] == 1.0
    assert figures["cons_at_4"] == pytest.approx(0.5)  # the majority is right for a, wrong for b
    low, high = figures["pass_at_1_interval"]
    assert low < 0.5 < high


def test_lengths_truncation_format_and_checking() -> None:
    groups = [
        group(
            "a",
            sample(0, "1", True, length=10, text="wait, again"),
            sample(1, None, False, length=20, finish="length"),
        )
    ]
    figures = summarise(groups, 2)
    assert figures["length_mean"] == 15
    assert figures["length_mean_right"] == 10
    assert figures["length_mean_wrong"] == 20
    assert figures["truncated_frac"] == 0.5
    assert figures["self_check_frac"] == 0.5
    assert figures["format"] == 0.5


def test_ungraded_samples_are_counted_and_are_neither_right_nor_wrong() -> None:
    groups = [
        group("a", sample(0, "1", True), sample(1, "1", None)),
        group("b", sample(0, "1", None), sample(1, "1", None)),
    ]
    figures = summarise(groups, 2)
    assert figures["ungraded"] == 3
    assert figures["pass_at_1"] == 1.0  # of the one problem with a graded sample, by its one graded sample
    assert figures["pass_at_2"] is None
    assert figures["cons_at_2"] is None
    assert figures["num_problems"] == 2


def test_nothing_graded_gives_no_share() -> None:
    figures = summarise([group("a", sample(0, "1", None))], 1)
    assert figures["pass_at_1"] is None
    assert figures["pass_at_1_interval"] is None
    assert "cons_at_1" not in figures


def test_general_prompts_are_not_ungraded() -> None:
    """No rule grades them: that is no failure, but nothing is known of their correctness either."""
    general = sample(0, None, None)
    parts = {**general.reward.parts, "accuracy": RewardPart(None, "not_applicable")}
    asked = group("g", replace(general, reward=replace(general.reward, parts=parts)))
    figures = summarise([asked, group("a", sample(0, "1", True))], 1)
    assert (figures["ungraded"], figures["pass_at_1"], figures["num_problems"]) == (0, 1.0, 2)
    assert summarise([asked], 1)["pass_at_1"] is None
